#include "bindings/module.h"

#include "bindings/arguments.h"
#include "bindings/gil.h"
#include "bindings/json.h"
#include "chainrule/initializers.h"
#include "chainrule/threads.h"
#include "isa/table.h"

namespace chainrule::python {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

py::dict info() {
  py::dict result;
  result["version"] = CHAINRULE_VERSION;
  result["instruction_set"] = isa::table().name;
  py::list available;
  for (const char* name : isa::available()) available.append(name);
  result["instruction_sets"] = available;
  result["threads"] = get_num_threads();
  result["compiler"] = compiler();
#if defined(NDEBUG)
  result["build"] = "release";
#else
  result["build"] = "debug";
#endif
  return result;
}

}  // namespace
}  // namespace chainrule::python

PYBIND11_MODULE(_core, m) {
  using namespace chainrule::python;  // NOLINT(google-build-using-namespace)
  m.doc() = "The engine of Chainrule. Use the package chainrule.";
  m.attr("__version__") = CHAINRULE_VERSION;
  bind_arguments(m);
  bind_ops(m);
  bind_control_flow(m);
  bind_catalog(m);
  bind_layers(m);
  bind_models(m);
  bind_storage(m);
  bind_eager(m);
  bind_gil();
  m.attr("max_threads") = chainrule::kMaxThreads;
  m.def("info", &info);
  m.def("set_random_seed", &chainrule::set_random_seed);
  m.def("set_num_threads", &chainrule::set_num_threads);
  m.def("get_num_threads", &chainrule::get_num_threads);
  m.def("shutdown_threads", [] { without_gil(&chainrule::shutdown_threads); });
  tell_errors_in_own_words(m);
}

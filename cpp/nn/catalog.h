// The generated list of everything that can be made by name (see cmake/tables.cmake).
#pragma once

#include "chainrule/config.h"

namespace chainrule::inline v0_1 {

/// Calls register_<stem>(catalog) of every cpp/nn/<kind>/<stem>.cpp.
void register_all(Catalog& catalog);

/// Makes the ClassInfo of a default-constructible class: add<DenseLayer>(catalog, Kind::layers,
/// "Dense", "...").
template <class T>
void add(Catalog& catalog,
         Kind kind,
         std::string name,
         std::string doc,
         std::vector<std::string> aliases = {}) {
  catalog.add(kind, {std::move(name), std::move(aliases), std::move(doc), [] {
                       return std::make_shared<T>();
                     }});
}

}  // namespace chainrule::inline v0_1

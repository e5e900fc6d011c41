// A plug-in: trains a model on three threads, and leaves them waiting.
#include <chainrule/chainrule.h>

namespace cr = chainrule;

extern "C" double train() {
  const cr::Tensor x(cr::Shape{512, 64}, cr::DType::float32);
  for (float& value : x.data<float>()) value = 0.5F;
  cr::Sequential model({cr::layers::Input({64}), cr::layers::Dense(64)});
  model.compile({.optimizer = cr::optimizers::SGD(), .loss = {"mse"}});
  model.fit({.x = {view_of(x)}, .y = {view_of(x)}}, {.batch_size = 256, .epochs = 3, .threads = 3});
  return model.evaluate({.x = {view_of(x)}, .y = {view_of(x)}})["loss"];
}

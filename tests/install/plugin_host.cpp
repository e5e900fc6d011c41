// Loads a plug-in, lets it train and unloads it, several times; its threads must go with its code.
//   plugin_host PLUGIN TIMES
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

int main(int, char** arguments) {
  const int times = std::atoi(arguments[2]);
  for (int i = 0; i < times; ++i) {
    void* const plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) {
      std::puts(dlerror());
      return 1;
    }
    auto* const train = reinterpret_cast<double (*)()>(dlsym(plugin, "train"));
    if (train == nullptr || !(train() >= 0)) return 2;
    if (dlclose(plugin) != 0) return 3;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for threads that live on
    void* const still = dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD);
    std::printf("unloaded: %s\n", still == nullptr ? "yes" : "no");
  }
  std::printf("loaded %d times\n", times);
}

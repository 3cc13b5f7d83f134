#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace loquat::app {

class App;

/// A role the process can run.
struct Target {
  std::string_view name;
  std::string_view help;
  std::vector<void (*)(App&)> parts;  ///< each adds routes and starts what they need; done once however often it is named
};

/// THE table of targets.
[[nodiscard]] const std::vector<Target>& targets();
[[nodiscard]] const Target* find_target(std::string_view name);

}  // namespace loquat::app

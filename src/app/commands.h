#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"

namespace loquat::app {

/// What the options of the commands other than serve say.
struct CommandOptions {
  std::string file;
  std::string action;
  std::vector<std::int64_t> ids;
  bool all = false;
  bool json = false;
  bool dry_run = false;
  bool secrets = false;
  bool verbose = false;
  std::string from;
  std::string only;
  std::string url;
  std::string thread;
  std::string page;
  std::optional<std::string> text;
  std::optional<std::string> postback;
  std::optional<std::string> event_file;
};

/// Runs a command by its name; the exit status.
int run_command(const std::string& name, const CommandOptions& options, const Config& config);

}  // namespace loquat::app

#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "messenger/graph_client.h"

namespace loquat::messenger {

/// `loquat page subscribe|status|profile`.
struct PageCommand {
  enum class Action : std::uint8_t { subscribe, status, profile };
  Action action = Action::status;
  std::string page = "me";               ///< the page's id; "me" is the token's page
  std::vector<std::string> fields = {};  ///< subscribe: empty: those Loquat needs
  std::string profile = {};              ///< profile: the file's text (page_profile.h)
  bool json = false;                     ///< one JSON object instead of text
};

/// The webhook fields that Loquat makes use of.
[[nodiscard]] const std::vector<std::string>& needed_fields();

/// Runs the command and writes what came out to `out`, what went wrong to `err`, in plain words and without secrets. Gives the
/// exit code: 0 done, 1 failed, 2 wrong usage (the file), 3 done in part. All arguments must live until it returns.
[[nodiscard]] asio::awaitable<int> run_page_command(GraphClient& graph, const PageAccess& access, const PageCommand& command,
                                                    std::ostream& out, std::ostream& err);

}  // namespace loquat::messenger

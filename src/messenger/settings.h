#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "async/task_group.h"
#include "integrations/store.h"
#include "messenger/signature.h"

namespace loquat::messenger {

namespace asio = boost::asio;

/// The id of the sandbox's page. The real webhook never takes it, the sandbox's takes no other.
inline constexpr std::string_view sandbox_page = "sandbox";
/// The integration that holds the settings.
inline constexpr std::string_view channel_integration = "facebook";

/// What is needed to talk for a Facebook app's pages. Immutable once shared.
struct PageSettings {
  bool enabled = false;
  std::string verify;                                           ///< the token of Meta's verification request; empty: nothing verifies
  std::string secret;                                           ///< the app's; empty: no signature is valid
  std::string default_token;                                    ///< for pages without one of their own; empty: none
  std::map<std::string, std::string, std::less<>> page_tokens;  ///< by page id; empty token: not known yet
  std::uint64_t generation = 0;                                 ///< counts changes while the process runs, from 1
  std::shared_ptr<const SignatureChecker> checker;              ///< of `secret`; never null in what SettingsSource gives

  /// The page's token, null when there is none (yet): its replies are kept until there is one.
  [[nodiscard]] const std::string* find_token(std::string_view page) const;
  /// Whether events of this page are taken. With a list of pages and no default token only those of the list; otherwise any, since
  /// a token does not say whose it is.
  [[nodiscard]] bool is_ours(std::string_view page) const;
  /// Equal but for `generation`.
  [[nodiscard]] bool same_content(const PageSettings& other) const;
};

/// The three of the environment: they hold whatever the integration's status is.
[[nodiscard]] PageSettings make_page_settings(std::string secret, std::string verify, std::string page_access_token);
/// From the integration `facebook`: settings `secret`, `verify`, `page_access_token`, `pages: [{page_id, page_access_token}]`. Members of
/// other types count as empty, and so do masked secrets (of a process without SERVICE_TOKEN). Blanks around values are dropped.
[[nodiscard]] PageSettings make_page_settings(const integrations::Integration& integration);

/// Where the settings come from. `current()` is thread-safe and cheap. A store that goes away leaves the last known settings.
class SettingsSource {
 public:
  /// Settings that never change.
  explicit SettingsSource(PageSettings fixed);
  /// The integration `facebook` of `store`, which must outlive the source. run() must be running.
  SettingsSource(integrations::Store& store, std::chrono::milliseconds interval = std::chrono::seconds(1));

  /// Null as long as the store has not answered once.
  [[nodiscard]] std::shared_ptr<const PageSettings> current() const;

  /// Reads the store once. Never throws; false when it did not answer.
  asio::awaitable<bool> refresh();
  /// Refreshes every interval, and soon after poke(), until `tasks` stops. Returns at once for fixed settings.
  asio::awaitable<void> run(const async::TaskGroup& tasks);
  /// The integration may have changed: thread-safe.
  void poke() noexcept { poked_.store(true, std::memory_order_relaxed); }

 private:
  void replace(PageSettings settings);
  void warn_once(std::string_view reason, std::string_view detail);

  integrations::Store* store_ = nullptr;
  std::chrono::milliseconds interval_{};
  std::atomic<bool> poked_ = false;
  bool failing_ = false;  ///< only used by refresh(), as is the next
  bool masked_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<const PageSettings> current_;
};

}  // namespace loquat::messenger

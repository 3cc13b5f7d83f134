#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "async/task_group.h"
#include "bus/handler.h"
#include "dialogue/manager.h"
#include "messenger/pages.h"
#include "messenger/sender.h"
#include "messenger/settings.h"
#include "state/store.h"

namespace loquat::messenger {

/// The Messenger channel of the bus: what a person said goes to the dialogue, what the bot says to the Graph API.
class Delivery final : public bus::Handler {
 public:
  struct Settings {
    std::string graph_base;  ///< make_graph_base()
    bool typing = true;
    std::chrono::milliseconds reply_max_age{std::chrono::hours(24)};
    /// Seen and typing marks are left out while more turns than this are under way: they would only delay the replies.
    std::size_t marks_up_to = 32;
  };
  /// The settings of a page's app: the sandbox has its own. Null: not known yet.
  using SettingsOf = std::function<std::shared_ptr<const PageSettings>(std::string_view page)>;
  /// All replies of an event are out.
  using Finished = std::function<void(const MessageId& id)>;

  /// `redact` removes the text of a message that its sender took back. All references must outlive this.
  Delivery(Settings settings, const dialogue::Manager& manager, state::Store& states, Sender& sender, Pages& pages, SettingsOf settings_of,
           async::TaskGroup& tasks, Finished finished = {});

  asio::awaitable<std::optional<state::State>> decide(const bus::Item& item, std::optional<state::State> previous, bool again) override;
  asio::awaitable<bus::Delivery> deliver(bus::Item& item, const state::State& turn, const bus::DeliveryContext& context) override;

 private:
  /// The seen and typing marks of one turn, on their way while the turn is decided.
  struct Marks {
    std::atomic<bool> done{false};
  };

  [[nodiscard]] std::shared_ptr<const PageAccess> access_of(const bus::Item& item, const PageSettings& settings);
  [[nodiscard]] static Recipient recipient_of(const bus::Item& item);
  [[nodiscard]] static std::int64_t said_at(const bus::Item& item);
  [[nodiscard]] bool is_expired(const bus::Item& item) const;
  asio::awaitable<void> start_marks(const bus::Item& item);
  asio::awaitable<void> send_marks(std::shared_ptr<Marks> marks, std::shared_ptr<const PageAccess> access, std::string page,
                                   Recipient recipient);
  asio::awaitable<void> tell(std::string page, Sender::Stops stops);
  asio::awaitable<void> wait_for_marks(std::int64_t seq);
  asio::awaitable<bus::Delivery> deliver_messages(bus::Item& item, const state::State& turn, const bus::DeliveryContext& context);
  asio::awaitable<std::optional<bus::Delivery>> send_part(bus::Item& item, const Part& part, const PageSettings& settings,
                                                          const bus::DeliveryContext& context);
  asio::awaitable<bus::Delivery> after(const Sender::Result& result, const bus::Item& item, const PageSettings& settings);
  asio::awaitable<bus::Delivery> send_parts(bus::Item& item, const Parts& parts, const PageSettings& settings,
                                            const bus::DeliveryContext& context);
  [[nodiscard]] bus::Delivery wait_for_page(const bus::Item& item, std::string reason) const;
  asio::awaitable<bus::Delivery> stop_page(const bus::Item& item, std::string why, std::string token, std::string reason);

  const Settings settings_;
  const dialogue::Manager& manager_;
  state::Store& states_;
  Sender& sender_;
  Pages& pages_;
  const SettingsOf settings_of_;
  async::TaskGroup& tasks_;
  const Finished finished_;
  std::atomic<std::size_t> under_way_{0};
  std::mutex mutex_;                                                                // guards the members below
  std::map<std::string, std::shared_ptr<const PageAccess>, std::less<>> accesses_;  // by base, token and secret
  std::unordered_map<std::int64_t, std::shared_ptr<Marks>> marks_;
  std::unordered_map<std::int64_t, dialogue::Manager::CallMemory> calls_;  // of turns that may have to be decided again
};

}  // namespace loquat::messenger

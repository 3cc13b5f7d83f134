#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "bus/item.h"
#include "state/state.h"

namespace loquat::bus {

/// How the delivery of a turn's replies ended for now.
struct Delivery {
  enum class Kind : std::uint8_t {
    done,          ///< every reply delivered, or dropped on purpose
    later,         ///< try again after `delay`
    page_stopped,  ///< the page cannot send: wait until it is released, at most `delay`. Its row in `page` says so; if not, it is due at
                   ///< once
    abandoned,     ///< the partition is no longer ours: touch nothing
  };
  Kind kind = Kind::done;
  std::chrono::milliseconds delay{0};
  std::string page = {};
  std::string reason = {};  ///< a fixed word, the label of loquat_bus_parked
};

/// What a delivery may ask of the lane it runs in.
struct DeliveryContext {
  /// True when this process may still act for `needed` more time; asked before every send.
  std::function<bool(std::chrono::milliseconds needed)> may_act;
  /// Makes item.parts_sent durable.
  std::function<asio::awaitable<void>()> save_progress;
  /// Whether the channel has reported this reply as delivered already.
  std::function<bool(std::string_view metadata)> was_reported;
};

/// Port: what a channel does with its events. Runs on the conversation's loop, one event of a conversation at a time.
class Handler {
 public:
  virtual ~Handler() = default;

  /// Decides one turn (pure but for reads and API calls). Empty: the event has no state effect (it was done, or is to be
  /// ignored). `again` is true when the same turn is decided anew after a version conflict.
  /// Throws Error(unavailable) when it must be tried again later; anything else counts as a fault of the event.
  virtual asio::awaitable<std::optional<state::State>> decide(const Item& item, std::optional<state::State> previous, bool again) = 0;

  /// Sends the replies of a decided turn from item.parts_sent on.
  virtual asio::awaitable<Delivery> deliver(Item& item, const state::State& turn, const DeliveryContext& context) = 0;
};

}  // namespace loquat::bus

#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/message.h"
#include "core/json.h"
#include "nlu/meaning.h"
#include "state/state.h"

/// The rules of a conversation: state x meaning -> next state x what to say. Pure: no clock, no I/O, no template.
namespace loquat::dialogue {

/// The intents with a meaning of their own.
inline constexpr std::string_view cancel_intent = "cancel";
inline constexpr std::string_view fallback_intent = "fallback";
/// A slot of this type takes the whole message when it is the one asked for.
inline constexpr std::string_view free_text_type = "free_text";

struct SlotRules {
  std::string name;
  std::optional<std::string> type;
  bool required = false;
};

struct IntentRules {
  std::string id;
  std::vector<SlotRules> slots;
};

/// What the policy has to know of a bot. Immutable.
class Rules {
 public:
  /// Of two intents with one id the later counts.
  Rules(std::vector<IntentRules> intents, double threshold);
  [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const noexcept;
  [[nodiscard]] const IntentRules& intent(std::size_t number) const noexcept { return intents_[number]; }
  /// The member `parameters` of a state in this intent.
  [[nodiscard]] const json::array& parameters(std::size_t number) const noexcept { return parameters_[number]; }
  /// A prediction with less confidence counts as none.
  [[nodiscard]] double threshold() const noexcept { return threshold_; }

 private:
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming)
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  std::vector<IntentRules> intents_;
  std::vector<json::array> parameters_;
  boost::unordered_flat_map<std::string, std::size_t, Hash, std::equal_to<>> numbers_;
  double threshold_;
};

/// "/x" and "/x/anything" name the intent x.
[[nodiscard]] std::optional<std::string_view> find_command(std::string_view text) noexcept;

/// The state in which the message is looked at: the message's context merged in (channel, page_id, timestamp and is_postback are only
/// ever those of this message), a completed intent put away. Nothing said yet.
[[nodiscard]] state::State begin_turn(std::optional<state::State> previous, const chat::UserMessage& message, Time date);

struct Turn {
  state::State state;                      ///< complete but for its bot_message
  std::optional<std::size_t> intent = {};  ///< who speaks; empty: nobody, the bot lacks even a fallback
  std::optional<std::size_t> ask = {};     ///< the slot to ask for; empty: the intent is complete and answers
};
/// `state` comes from begin_turn. `text` is the message's. Writes `nlu` too.
[[nodiscard]] Turn next(const Rules& rules, state::State state, std::string_view text, const nlu::Meaning& meaning);

/// "one###two" is two messages. Nothing is trimmed or left out; behind the 99th separator the text stays whole.
[[nodiscard]] json::array split_messages(std::string_view text);

}  // namespace loquat::dialogue

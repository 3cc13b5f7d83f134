#include "messenger/graph_errors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "core/json.h"

namespace loquat::messenger {

namespace {

using enum SendOutcome;

struct Rule {
  std::int64_t number;
  SendOutcome outcome;
  std::string_view reason;
  bool whole_app = false;
};

/// Subcodes from a million on name one condition, whatever code comes with them. Meta uses some of them as codes too.
constexpr std::array by_long_subcode{
    Rule{1545041, person_unreachable, "not_receiving"},
    Rule{1893016, part_rejected, "optin_repeated"},
    Rule{1893061, part_rejected, "tag_retired"},
    Rule{1893063, page_stopped, "page_restricted"},
    Rule{2018001, person_unreachable, "no_such_person"},
    Rule{2018008, part_rejected, "media"},
    Rule{2018014, part_rejected, "bad_request"},
    Rule{2018022, throttled, "rate_limit", true},
    Rule{2018027, page_stopped, "permission"},
    Rule{2018028, page_stopped, "permission"},
    Rule{2018032, part_rejected, "empty_message"},
    Rule{2018047, part_rejected, "media"},
    Rule{2018065, person_unreachable, "outside_window"},
    Rule{2018108, person_unreachable, "not_receiving"},
    Rule{2018109, part_rejected, "media"},
    Rule{2018218, part_rejected, "no_profile"},
    Rule{2018247, part_rejected, "no_profile"},
    Rule{2018278, person_unreachable, "outside_window"},
    Rule{2018294, part_rejected, "media"},
    Rule{2018300, thread_held, "other_app"},
    Rule{2018321, thread_held, "automated_flow"},
    Rule{2018338, part_rejected, "tag_abuse"},
    Rule{2534022, person_unreachable, "outside_window"},
    Rule{2534040, throttled, "rate_limit"},
};

constexpr std::array by_token_subcode{
    Rule{458, page_stopped, "token_deauthorized"},     Rule{459, page_stopped, "token_checkpoint"},
    Rule{460, page_stopped, "token_password_changed"}, Rule{463, page_stopped, "token_expired"},
    Rule{464, page_stopped, "token_unconfirmed"},
};

constexpr std::array by_code{
    Rule{1, outcome_unknown, "graph_unknown"},
    Rule{2, outcome_unknown, "graph_unknown"},
    Rule{3, page_stopped, "permission"},
    Rule{4, throttled, "rate_limit", true},
    Rule{10, page_stopped, "permission"},
    Rule{17, throttled, "rate_limit"},
    Rule{32, throttled, "rate_limit"},
    Rule{100, part_rejected, "bad_request"},
    Rule{102, page_stopped, "token_invalid"},
    Rule{190, page_stopped, "token_invalid"},
    Rule{341, throttled, "rate_limit", true},
    Rule{368, page_stopped, "feature_blocked"},
    Rule{551, person_unreachable, "not_receiving"},
    Rule{613, throttled, "rate_limit"},
    Rule{1200, retry, "graph_temporary"},
    Rule{2022, page_stopped, "feature_blocked"},
};

template <std::size_t Count>
const Rule* find_rule(const std::array<Rule, Count>& rules, std::int64_t number) {
  const auto* found = std::ranges::find(rules, number, &Rule::number);
  return found == rules.end() ? nullptr : found;
}

void apply(Verdict& verdict, const Rule& rule) {
  verdict.outcome = rule.outcome;
  verdict.reason = rule.reason;
  verdict.whole_app = rule.whole_app;
}

std::int64_t integer_member(const json::value& object, std::string_view name) {
  const auto* member = find_member(object, name);
  if (member == nullptr) return 0;
  if (const auto* number = member->if_int64()) return *number;
  std::int64_t value = 0;
  if (const auto* text = member->if_string()) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

/// What an error of a number that is in no table means.
Rule rule_for_unknown(unsigned status, std::int64_t code) {
  if (status == 429 || (code >= 80'000 && code < 80'100)) return {0, throttled, "rate_limit"};  // business use case limits
  if (code > 200 && code < 300) return {0, page_stopped, "permission"};
  if (status >= 500) return {0, outcome_unknown, "server_error"};
  return {0, part_rejected, "unknown_code"};
}

void judge(Verdict& verdict, unsigned status, const json::value& error) {
  verdict.code = integer_member(error, "code");
  verdict.subcode = integer_member(error, "error_subcode");
  verdict.trace = string_member(error, "fbtrace_id");
  const auto* transient = find_member(error, "is_transient");
  const bool is_transient = transient != nullptr && transient->is_bool() && transient->get_bool();

  if (const auto* rule = find_rule(by_long_subcode, verdict.subcode)) return apply(verdict, *rule);
  if (const auto* rule = find_rule(by_long_subcode, verdict.code)) return apply(verdict, *rule);
  if (verdict.code == 190) {
    if (const auto* rule = find_rule(by_token_subcode, verdict.subcode)) return apply(verdict, *rule);
  }
  const auto* rule = verdict.code == 200 ? find_rule(by_code, 10) : find_rule(by_code, verdict.code);
  const bool ends_something = rule == nullptr || rule->outcome == page_stopped || rule->outcome == part_rejected;
  // Meta's own word that it will pass; a dead token does not, whatever it says.
  if (is_transient && ends_something && verdict.code != 190 && verdict.code != 102) {
    return apply(verdict, {0, status >= 500 ? outcome_unknown : retry, "graph_temporary"});
  }
  apply(verdict, rule != nullptr ? *rule : rule_for_unknown(status, verdict.code));
}

/// "Retry-After: 30"; a date is not heeded.
std::chrono::milliseconds retry_after(const http::Headers& headers) {
  constexpr unsigned most = 3600;
  const auto text = headers.get("retry-after");
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return std::chrono::seconds(std::min(seconds, most));
}

/// An answer that is none of Graph's: a proxy, a wrong address, a server in trouble.
Rule rule_for_status(unsigned status) {
  if (status == 429) return {0, throttled, "rate_limit"};
  if (status >= 500) return {0, outcome_unknown, "server_error"};
  return {0, retry, "no_graph_answer"};
}

}  // namespace

std::string_view to_string(SendOutcome outcome) noexcept {
  switch (outcome) {
    case delivered: return "delivered";
    case retry: return "retry";
    case throttled: return "throttled";
    case page_stopped: return "page_stopped";
    case person_unreachable: return "person_unreachable";
    case thread_held: return "thread_held";
    case part_rejected: return "part_rejected";
    case outcome_unknown: return "outcome_unknown";
  }
  return "outcome_unknown";
}

Verdict classify(const http::ClientResponse& response) {
  Verdict verdict;
  if (response.failure == http::Failure::not_sent) {
    apply(verdict, {0, retry, "not_sent"});
    return verdict;
  }
  if (response.failure == http::Failure::unknown) {
    apply(verdict, {0, outcome_unknown, "lost"});
    return verdict;
  }
  json::value body;
  JsonError ignored;
  const bool readable = try_parse_json(response.body, body, ignored);
  const auto* error = readable ? find_member(body, "error") : nullptr;
  if (error != nullptr && error->is_object()) {
    judge(verdict, response.status, *error);
  } else if (response.status >= 200 && response.status < 300) {
    verdict.outcome = delivered;
    if (readable) verdict.message_id = string_member(body, "message_id");
  } else {
    apply(verdict, rule_for_status(response.status));
  }
  if (verdict.outcome == retry || verdict.outcome == throttled) verdict.delay = retry_after(response.headers);
  return verdict;
}

}  // namespace loquat::messenger

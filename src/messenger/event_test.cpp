#include "messenger/event.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "core/json.h"

namespace loquat::messenger {
namespace {

constexpr std::int64_t now_ms = 1'795'255'200'123;
constexpr std::int64_t now_s = now_ms / 1000;
const Time now_time = Time(std::chrono::milliseconds(now_ms));

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

std::string fill(std::string text) {
  replace_all(text, "\"@now\"", std::to_string(now_ms));
  replace_all(text, "\"@now_seconds_number\"", std::to_string(now_s));
  replace_all(text, "\"@now_seconds_text\"", "\"" + std::to_string(now_s) + "\"");
  replace_all(text, "\"@now_seconds\"", std::to_string(now_s * 1000));
  return text;
}

json::value load(const std::filesystem::path& path) {
  std::ifstream file(path);
  return parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string body_of(const json::value& payload) {
  const auto* text = find_member(payload, "body_text");
  return fill(text != nullptr ? std::string(as_view(text->get_string())) : to_json(*find_member(payload, "body")));
}

std::string webhook(const std::string& items, const std::string& page = "1") {
  return R"({"object":"page","entry":[{"id":")" + page + R"(","messaging":[)" + items + "]}]}";
}

/// One event in the words of the payloads' expectations.
json::object describe(const bus::Event& event, const json::object& like) {
  json::object found{{"kind", event.kind}, {"thread_id", event.conversation.thread_id}, {"page", event.conversation.account}};
  EXPECT_EQ(event.conversation.channel, "facebook");
  EXPECT_EQ(event.dead_reason.empty(), event.kind != "unreadable");
  if (like.contains("dead")) found.emplace("dead", event.dead_reason);
  for (const std::string_view name : {"text", "context", "recipient"}) {
    if (const auto* member = find_member(event.body, name)) found.emplace(name, *member);
  }
  if (const auto* mid = like.if_contains("redacts_mid")) {
    const auto expected = event_key(event.conversation.account, "message", as_view(mid->get_string())).to_string();
    EXPECT_EQ(string_member(event.body, "redacts"), expected);
    found.emplace("redacts_mid", *mid);
  }
  return found;
}

class Payload : public testing::TestWithParam<std::string> {};

TEST_P(Payload, is_read_as_expected) {
  const auto payload = load(std::filesystem::path("tests/messenger/payloads") / (GetParam() + ".json"));
  const auto expect = parse_json(fill(to_json(*find_member(payload, "expect"))));
  const auto parsed = parse_webhook(body_of(payload), now_time);
  ASSERT_TRUE(parsed.is_object);

  const auto& events = find_member(expect, "events")->get_array();
  ASSERT_EQ(parsed.events.size(), events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    EXPECT_EQ(json::value(describe(parsed.events[i], events[i].get_object())), events[i])
        << to_json(describe(parsed.events[i], events[i].get_object()));

  json::object counts;
  for (std::size_t kind = 0; kind < kind_count; ++kind) {
    if (parsed.counts[kind] != 0) counts.emplace(to_string(static_cast<Kind>(kind)), parsed.counts[kind]);
  }
  const auto& expected_counts = find_member(expect, "counts")->get_object();
  EXPECT_EQ(counts.size(), expected_counts.size()) << to_json(counts);
  for (const auto& [kind, number] : expected_counts) EXPECT_EQ(counts[kind].to_number<int>(), number.to_number<int>()) << kind;

  const auto* reports = find_member(expect, "reports");
  ASSERT_EQ(parsed.reports.size(), reports == nullptr ? 0 : reports->get_array().size());
  for (std::size_t i = 0; i < parsed.reports.size(); ++i) {
    const auto& report = reports->get_array()[i];
    EXPECT_EQ(parsed.reports[i].conversation.thread_id, string_member(report, "thread_id"));
    EXPECT_EQ(parsed.reports[i].conversation.account, string_member(report, "page"));
    EXPECT_EQ(parsed.reports[i].metadata, string_member(report, "metadata"));
  }
  const auto* notices = find_member(expect, "notices");
  EXPECT_EQ(parsed.notices.size(), notices == nullptr ? 0U : static_cast<std::size_t>(notices->to_number<int>()));
}

/// Ctest runs in the project's folder; the names are read when the program starts.
std::vector<std::string> payload_names() {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& file : std::filesystem::directory_iterator("tests/messenger/payloads", failure)) {
    if (file.path().extension() == ".json") names.push_back(file.path().stem());
  }
  std::ranges::sort(names);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, Payload, testing::ValuesIn(payload_names()), [](const auto& info) { return info.param; });

TEST(Event, every_kind_has_a_payload) {
  std::set<std::string> seen;
  for (const auto& name : payload_names()) {
    const auto payload = load(std::filesystem::path("tests/messenger/payloads") / (name + ".json"));
    for (const auto& count : find_member(*find_member(payload, "expect"), "counts")->get_object()) seen.insert(std::string(count.key()));
  }
  for (std::size_t kind = 0; kind < kind_count; ++kind) {
    const auto name = to_string(static_cast<Kind>(kind));
    if (name != "foreign_page") EXPECT_TRUE(seen.contains(std::string(name))) << name;
  }
}

TEST(Event, no_object_no_events) {
  for (const char* body : {"", " ", "[]", "null", "5", "\"page\"", "{", "{\"object\":\"page\"", "{}x", "{\"a\":}", "not json", "\xFF"}) {
    const auto parsed = parse_webhook(body, now_time);
    EXPECT_FALSE(parsed.is_object) << body;
    EXPECT_TRUE(parsed.events.empty()) << body;
  }
  EXPECT_TRUE(parse_webhook("\xEF\xBB\xBF{}", now_time).is_object);
  EXPECT_TRUE(parse_webhook(" \n{}\n ", now_time).is_object);
}

TEST(Event, a_redelivery_has_the_same_id_in_any_batch) {
  const std::string one = R"({"sender":{"id":"5"},"recipient":{"id":"1"},"timestamp":1795255200000,"message":{"mid":"a","text":"x"}})";
  const std::string two = R"({"sender":{"id":"5"},"recipient":{"id":"1"},"timestamp":1795255200001,"postback":{"payload":"/p"}})";
  const auto alone = parse_webhook(webhook(one), now_time);
  const auto batch = parse_webhook(webhook(two + "," + one), now_time + std::chrono::hours(1));
  const auto again = parse_webhook(webhook(two), now_time);
  ASSERT_EQ(batch.events.size(), 2U);
  EXPECT_EQ(alone.events[0].message_id, batch.events[1].message_id);
  EXPECT_EQ(again.events[0].message_id, batch.events[0].message_id);
  EXPECT_EQ(alone.events[0].message_id, event_key("1", "message", "a"));
}

TEST(Event, what_differs_has_another_id) {
  std::set<MessageId> ids;
  const auto add = [&ids](const std::string& item, const std::string& page) {
    const auto parsed = parse_webhook(webhook(item, page), now_time);
    ASSERT_EQ(parsed.events.size(), 1U) << item;
    EXPECT_TRUE(ids.insert(parsed.events[0].message_id).second) << item;
  };
  add(R"({"sender":{"id":"5"},"message":{"mid":"a","text":"x"}})", "1");
  add(R"({"sender":{"id":"5"},"message":{"mid":"a","text":"x"}})", "2");
  add(R"({"sender":{"id":"5"},"message":{"mid":"b","text":"x"}})", "1");
  add(R"({"sender":{"id":"5"},"message":{"mid":"a","is_deleted":true}})", "1");
  add(R"({"sender":{"id":"5"},"postback":{"mid":"a","payload":"x"}})", "1");
  add(R"({"sender":{"id":"5"},"timestamp":1795255200000,"postback":{"payload":"x"}})", "1");
  add(R"({"sender":{"id":"5"},"timestamp":1795255200001,"postback":{"payload":"x"}})", "1");
  add(R"({"sender":{"id":"6"},"timestamp":1795255200001,"postback":{"payload":"x"}})", "1");
  add(R"({"sender":{"id":"6"},"timestamp":1795255200001,"optin":{"ref":"/x"}})", "1");
  add(R"({"sender":{"id":"6"},"timestamp":1795255200001,"referral":{"ref":"/x"}})", "1");
}

TEST(Event, pages_that_are_not_ours_are_counted_only) {
  const IsOurs is_ours = [](std::string_view page) { return page == "1"; };
  const std::string item = R"({"sender":{"id":"5"},"recipient":{"id":"R"},"message":{"mid":"a","text":"x"}})";
  const auto foreign = parse_webhook(webhook(item, "2"), now_time, is_ours);
  EXPECT_TRUE(foreign.events.empty());
  EXPECT_EQ(foreign.count(Kind::foreign_page), 1U);
  EXPECT_EQ(foreign.foreign_pages, std::vector<std::string>{"2"});
  EXPECT_TRUE(foreign.pages.empty());
  const auto ours = parse_webhook(webhook(item, "1"), now_time, is_ours);
  EXPECT_EQ(ours.events.size(), 1U);
  EXPECT_EQ(ours.pages, std::vector<std::string>{"1"});
  // Without an id of the entry the recipient is the page.
  std::string nameless = R"({"object":"page","entry":[{"messaging":[)" + item + "]}]}";
  EXPECT_EQ(parse_webhook(nameless, now_time, is_ours).foreign_pages, std::vector<std::string>{"R"});
  EXPECT_EQ(parse_webhook(nameless, now_time).events.at(0).conversation.account, "R");
}

TEST(Event, ids_that_cannot_be_stored_are_dead_letters) {
  const std::vector<std::string> ids{R"("a\u0000b")", R"("a\u001fb")", R"("")", "null",
                                     "1.5",           "true",          "{}",    "\"" + std::string(256, '1') + "\""};
  for (const auto& id : ids) {
    const auto parsed = parse_webhook(webhook(R"({"sender":{"id":)" + id + R"(},"message":{"mid":"a","text":"x"}})"), now_time);
    ASSERT_EQ(parsed.events.size(), 1U) << id;
    EXPECT_EQ(parsed.events[0].kind, "unreadable") << id;
    EXPECT_EQ(parsed.events[0].conversation.thread_id, "") << id;
  }
}

TEST(Event, bytes_that_are_no_utf8_cost_only_their_item) {
  const auto parsed = parse_webhook(webhook("{\"sender\":{\"id\":\"5\"},\"message\":{\"mid\":\"a\",\"text\":\"\xFF\"}},"
                                            "{\"sender\":{\"id\":\"5\"},\"message\":{\"mid\":\"b\",\"text\":\"x\"}}"),
                                    now_time);
  ASSERT_TRUE(parsed.is_object);
  ASSERT_EQ(parsed.events.size(), 2U);
  EXPECT_EQ(parsed.events[0].kind, "unreadable");
  EXPECT_NE(string_member(parsed.events[0].body, "raw").find("\xEF\xBF\xBD"), std::string_view::npos);
  EXPECT_EQ(string_member(parsed.events[1].body, "text"), "x");
}

TEST(Event, a_thousand_items) {
  std::string items;
  for (int i = 0; i < 1000; ++i) {
    if (i != 0) items += ',';
    items += R"({"sender":{"id":")" + std::to_string(100 + i % 10) + R"("},"message":{"mid":")" + std::to_string(i) + R"(","text":"x"}})";
  }
  const auto parsed = parse_webhook(webhook(items), now_time);
  ASSERT_EQ(parsed.events.size(), 1000U);
  EXPECT_EQ(parsed.pages.size(), 1U);
  EXPECT_EQ(parsed.events[999].message_id, event_key("1", "message", "999"));
}

TEST(Event, a_flood_of_unreadable_items_is_bounded) {
  std::string items = "0";
  for (int i = 1; i < 100'000; ++i) items += ",0";
  const auto parsed = parse_webhook(webhook(items + R"(,{"sender":{"id":"5"},"message":{"mid":"a","text":"x"}})"), now_time);
  EXPECT_EQ(parsed.count(Kind::unreadable), 100'000U);
  ASSERT_EQ(parsed.events.size(), 10'001U);
  EXPECT_EQ(parsed.events.back().kind, "message");
}

TEST(Event, timestamps) {
  const auto ms = std::to_string(now_ms);
  const auto s = std::to_string(now_s);
  const std::vector<std::pair<std::string, std::int64_t>> cases{{ms, now_ms},
                                                                {s, now_s * 1000},
                                                                {'"' + ms + '"', now_ms},
                                                                {'"' + s + '"', now_s * 1000},
                                                                {ms + "000", now_ms},
                                                                {s + ".0", now_s * 1000},
                                                                {"0", 0},
                                                                {"-5", 0},
                                                                {"null", 0},
                                                                {"\"\"", 0},
                                                                {"\"soon\"", 0},
                                                                {"\"1795255200x\"", 0},
                                                                {"true", 0},
                                                                {"{}", 0},
                                                                {"1e300", 0},
                                                                {"\"99999999999999999999\"", 0},
                                                                {std::to_string(now_ms + 86'000'000), now_ms + 86'000'000},
                                                                {std::to_string(now_ms + 87'000'000), 0},
                                                                {"1458692752478", 1458692752478}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(normalize_timestamp(parse_json(text), now_time), expected) << text;
}

TEST(Event, reply_metadata) {
  const std::string id(32, 'a');
  EXPECT_TRUE(is_reply_metadata(id + ":0"));
  EXPECT_TRUE(is_reply_metadata(id + ":12"));
  for (const auto& text : {std::string(), id, id + ":", id + ":x", id + ":0x", "A" + id.substr(1) + ":0", id + "0:0", id + ":0000000"})
    EXPECT_FALSE(is_reply_metadata(text)) << text;
}

}  // namespace
}  // namespace loquat::messenger

#include "core/query_values.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/pydantic_cases.h"

namespace {

namespace json = loquat::json;
namespace schema = loquat::schema;
namespace url = loquat::url;

template <class T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

/// The handler of testdata/make_pydantic_cases.py.
std::string answer(std::string_view text) {
  schema::Issues issues;
  const schema::QueryReader query(url::parse_query(text), issues);
  json::object out;
  out["t"] = or_null(query.find_text("t"));
  out["i"] = or_null(query.find_integer("i"));
  out["g"] = query.integer("g", 1, {.at_least = 1, .at_most = 1000});
  out["f"] = or_null(query.find_number("f", {.at_least = 0, .at_most = 1}));
  out["b"] = or_null(query.find_boolean("b"));
  const auto time = query.find_time("d");
  out["d"] = time ? json::value(json::string(loquat::to_iso8601(*time))) : json::value(nullptr);
  if (!issues.empty()) return R"({"detail":)" + loquat::to_json(issues.to_json()) + "}";
  return loquat::to_json(out);
}

TEST(QueryReader, AnswersAsFastApiDoes) {
  std::size_t count = 0;
  for (const auto& request : loquat::testing::read_pydantic_cases()) {
    if (request.path != "/query") continue;
    EXPECT_EQ(answer(request.sent), request.answer) << request.sent;
    ++count;
  }
  EXPECT_GT(count, 400U);
}

TEST(QueryReader, RefusesWhatNoMemberHolds) {
  EXPECT_THAT(answer("i=9223372036854775808"), ::testing::HasSubstr("int_parsing_size"));
  EXPECT_THAT(answer("f=nan"), ::testing::HasSubstr("finite_number"));
  EXPECT_THAT(answer("i=" + std::string(10'000, '1')), ::testing::HasSubstr("int_parsing"));
}

TEST(QueryReader, RefusesDatesThatLeaveTheYearsInUtc) {
  EXPECT_THAT(answer("d=9999-12-31T23%3A59%3A59-01%3A00"), ::testing::HasSubstr("year 10000 is out of range"));
  EXPECT_THAT(answer("d=0001-01-01T00%3A00%3A00%2B14%3A00"), ::testing::HasSubstr("year 0 is out of range"));
  EXPECT_THAT(answer("d=253402300799999.9999999"), ::testing::HasSubstr("year 10000 is out of range"));
  EXPECT_THAT(answer("d=9999-12-31T23%3A59%3A59%2B01%3A00"), ::testing::HasSubstr("9999-12-31T22:59:59+00:00"));
}

TEST(QueryReader, ARequiredTextIsMissing) {
  schema::Issues issues;
  const schema::QueryReader query(url::parse_query("a=&b=x"), issues);
  EXPECT_EQ(query.required_text("a"), "");
  EXPECT_EQ(query.required_text("b"), "x");
  EXPECT_TRUE(issues.empty());
  EXPECT_EQ(query.required_text("c"), "");
  EXPECT_EQ(loquat::to_json(issues.to_json()), R"([{"type":"missing","loc":["query","c"],"msg":"Field required","input":null}])");
  EXPECT_THROW(issues.throw_if_any(), loquat::Error);
}

}  // namespace

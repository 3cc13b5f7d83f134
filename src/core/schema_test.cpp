#include "core/schema.h"

#include <gmock/gmock.h>

#include <map>

#include "core/error.h"
#include "core/pydantic_cases.h"

namespace {

using namespace std::string_view_literals;
namespace json = loquat::json;
namespace schema = loquat::schema;
using loquat::Code;
using loquat::Error;
using loquat::parse_json;
using loquat::to_json;

// The models of testdata/make_pydantic_cases.py.
struct Nested {
  std::string a;
  bool b = false;
};
BOOST_DESCRIBE_STRUCT(Nested, (), (a, b))
constexpr auto required_members(const Nested*) { return std::array{"a"sv}; }

struct Model {
  std::string s;
  std::string s1 = "x";
  std::string s2 = "x";
  bool b = false;
  std::int64_t i = 0;
  double f = 0;
  std::vector<std::string> l;
  std::vector<std::int64_t> li;
  json::object d;
  std::optional<Nested> n;
  std::vector<Nested> ln;
  std::optional<std::int64_t> o;
  int g = 5;
  double gf = 0.5;
  std::string w;
  std::map<std::string, std::int64_t> m;
  json::value v;
};
BOOST_DESCRIBE_STRUCT(Model, (), (s, s1, s2, b, i, f, l, li, d, n, ln, o, g, gf, w, m, v))
constexpr auto renamed_members(const Model*) { return std::array{schema::Rename{"w", "wireName"}}; }
constexpr auto min_lengths(const Model*) { return std::array{schema::MinLength{"s1", 1}, schema::MinLength{"s2", 2}}; }
constexpr auto bounds(const Model*) { return std::array{schema::Bounds{"g", 1, 10}, schema::Bounds{"gf", 0, 1}}; }

struct Required {
  std::string x;
  Nested n;
};
BOOST_DESCRIBE_STRUCT(Required, (), (x, n))
constexpr auto required_members(const Required*) { return std::array{"x"sv, "n"sv}; }

struct Small {
  std::uint8_t byte = 0;
  std::int16_t word = 0;
  unsigned count = 3;
};
BOOST_DESCRIBE_STRUCT(Small, (), (byte, word, count))

template <class T>
std::string answer(const loquat::testing::PydanticCase& request) {
  return to_json(schema::write_value(schema::read_body<T>(request.sent, request.content_type)));
}

std::string answer_any(const loquat::testing::PydanticCase& request) {
  try {
    if (request.path == "/model") return answer<Model>(request);
    if (request.path == "/required") return answer<Required>(request);
    if (request.path == "/dict") return answer<json::object>(request);
    if (request.path == "/list") return answer<std::vector<Nested>>(request);
    return "no such path";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), request.status == 422 ? Code::invalid : Code::malformed);
    if (error.issues().empty()) return R"({"detail":")" + std::string(error.what()) + "\"}";
    return R"({"detail":)" + error.issues() + "}";
  }
}

std::string issues_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.issues();
  }
  return "nothing thrown";
}

TEST(Schema, AnswersAsFastApiDoes) {
  std::size_t count = 0;
  for (const auto& request : loquat::testing::read_pydantic_cases()) {
    if (request.path == "/query") continue;
    EXPECT_EQ(answer_any(request), request.answer) << request.path << " " << request.content_type << " " << request.sent;
    ++count;
  }
  EXPECT_GT(count, 900U);
}

TEST(Schema, RefusesWhatCannotBeStored) {
  const auto type_of = [](std::string_view body) {
    const auto issues = parse_json(issues_of([&] { (void)schema::read_body<Model>(body, ""); }));
    return std::string(loquat::string_member(issues.at(0), "type"));
  };
  EXPECT_EQ(type_of(R"({"f":"inf"})"), "finite_number");
  EXPECT_EQ(type_of(R"({"f":"nan"})"), "finite_number");
  EXPECT_EQ(type_of(R"({"f":"1e999"})"), "finite_number");
  EXPECT_EQ(type_of(R"({"i":9223372036854775808})"), "int_parsing_size");
  EXPECT_EQ(type_of(R"({"i":"9223372036854775808"})"), "int_parsing_size");
  EXPECT_EQ(type_of(R"({"i":12345678901234567890123})"), "int_parsing_size");
  EXPECT_EQ(type_of(R"({"i":1e400})"), "json_invalid");
  EXPECT_EQ(type_of(R"({"i":NaN})"), "json_invalid");
  EXPECT_EQ(type_of(R"({"i":Infinity})"), "json_invalid");
}

TEST(Schema, SmallIntegersKeepToTheirRange) {
  const auto read = [](std::string_view body) { return schema::read_body<Small>(body, ""); };
  EXPECT_EQ(read(R"({"byte":255,"word":-32768,"count":4294967295})").count, 4294967295U);
  EXPECT_EQ(read("{}").count, 3U);
  EXPECT_THAT(issues_of([&] { read(R"({"byte":256})"); }), ::testing::HasSubstr(R"("ctx":{"le":255})"));
  EXPECT_THAT(issues_of([&] { read(R"({"byte":-1})"); }), ::testing::HasSubstr("Input should be greater than or equal to 0"));
  EXPECT_THAT(issues_of([&] { read(R"({"word":40000})"); }), ::testing::HasSubstr("less than or equal to 32767"));
}

TEST(Schema, BodiesThatAreNoText) {
  const auto malformed = [](std::string_view body, std::string_view type) {
    try {
      (void)schema::parse_body(body, type);
    } catch (const Error& error) {
      return error.code() == Code::malformed ? std::string(error.what()) : "another code";
    }
    return std::string("nothing thrown");
  };
  EXPECT_EQ(malformed("\xFF", ""), "There was an error parsing the body");
  EXPECT_EQ(malformed("{\"x\":\"\xFF\"}", "application/json"), "There was an error parsing the body");
  EXPECT_EQ(malformed("\xFF", "text/plain"), "There was an error parsing the body");
  EXPECT_EQ(malformed(std::string(100'000, '['), ""), "There was an error parsing the body");
  EXPECT_EQ(malformed("\xED\xA0\x80", ""), "There was an error parsing the body");
}

TEST(Schema, KnowsWhichMembersWereSent) {
  schema::Present present;
  const auto model = schema::read_body<Model>(R"({"wireName":"q","o":null,"zz":1})", "", present);
  EXPECT_THAT(present, ::testing::ElementsAre("o", "w"));
  EXPECT_EQ(model.w, "q");
  EXPECT_FALSE(model.o.has_value());
}

TEST(Schema, ReadsAtAnyPlace) {
  schema::Issues issues;
  (void)schema::read<Nested>(parse_json(R"({"b":5})"), json::array{"body", "intents", 3}, issues);
  ASSERT_EQ(issues.all().size(), 2U);
  EXPECT_EQ(to_json(issues.all()[0].loc), R"(["body","intents",3,"a"])");
  EXPECT_EQ(to_json(issues.all()[1].loc), R"(["body","intents",3,"b"])");
}

TEST(Schema, AFailedMemberKeepsItsInitializer) {
  schema::Issues issues;
  const auto model = schema::read<Model>(parse_json(R"({"g":"x","l":["a",1],"b":true})"), {}, issues);
  EXPECT_EQ(model.g, 5);
  EXPECT_TRUE(model.l.empty());
  EXPECT_TRUE(model.b);
  EXPECT_EQ(issues.all().size(), 2U);
}

TEST(Schema, OwnRulesLookLikePydantics) {
  EXPECT_EQ(issues_of([] { schema::fail(schema::value_error({"body", "id"}, "this id is reserved", "ensure-defaults")); }),
            R"([{"type":"value_error","loc":["body","id"],"msg":"Value error, this id is reserved","input":"ensure-defaults",)"
            R"("ctx":{"error":{}}}])");
}

TEST(Schema, WritesInDeclaredOrder) {
  Required value{"é", {"n", true}};
  EXPECT_EQ(to_json(schema::write(value)), R"({"x":"é","n":{"a":"n","b":true}})");
}

TEST(Schema, DescribesItselfForOpenApi) {
  EXPECT_EQ(to_json(schema::describe<Required>()),
            R"({"type":"object","properties":{"x":{"type":"string"},"n":{"type":"object","properties":{"a":{"type":"string"},)"
            R"("b":{"type":"boolean","default":false}},"required":["a"]}},"required":["x","n"]})");
  const json::value model = schema::describe<Model>();
  const auto member = [&](std::string_view name) {
    return to_json(model.at("properties").at(json::string_view(name.data(), name.size())));
  };
  EXPECT_EQ(member("s1"), R"({"type":"string","minLength":1,"default":"x"})");
  EXPECT_EQ(member("g"), R"({"type":"integer","minimum":1,"maximum":10,"default":5})");
  EXPECT_EQ(member("gf"), R"({"type":"number","minimum":0.0,"maximum":1.0,"default":0.5})");
  EXPECT_EQ(member("o"), R"({"anyOf":[{"type":"integer"},{"type":"null"}],"default":null})");
  EXPECT_EQ(member("l"), R"({"type":"array","items":{"type":"string"},"default":[]})");
  EXPECT_EQ(member("m"), R"({"type":"object","additionalProperties":{"type":"integer"},"default":{}})");
  EXPECT_EQ(member("d"), R"({"type":"object","additionalProperties":true,"default":{}})");
  EXPECT_EQ(member("v"), R"({"default":null})");
  EXPECT_EQ(member("wireName"), R"({"type":"string","default":""})");
}

}  // namespace

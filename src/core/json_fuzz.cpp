// Any bytes as a JSON body: what is read prints to something that reads the same, the diagnosis agrees with the
// parser, and the schema reader answers with a value or with issues, never with anything else.
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "core/json.h"
#include "core/json_diagnosis.h"
#include "core/query_values.h"
#include "core/schema.h"
#include "core/text.h"

namespace {

namespace json = loquat::json;
namespace schema = loquat::schema;

struct Inner {
  std::string a;
  bool b = false;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (a, b))
constexpr auto required_members(const Inner*) { return std::array{std::string_view("a")}; }

struct Outer {
  std::string s = "x";
  std::int64_t i = 0;
  double f = 0;
  std::vector<Inner> l;
  std::optional<Inner> o;
  json::object d;
  json::value v;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (s, i, f, l, o, d, v))
constexpr auto min_lengths(const Outer*) { return std::array{schema::MinLength{"s", 1}}; }

void require(bool holds) {
  if (!holds) std::abort();
}

void check_json(std::string_view text) {
  json::value value;
  loquat::JsonError error;
  if (loquat::try_parse_json(text, value, error)) {
    require(loquat::diagnose_json(text).message.empty());
    const std::string printed = loquat::to_json(value);
    require(loquat::to_json(loquat::parse_json(printed)) == printed);
    const std::string ascii = loquat::to_json(value, {.ascii = true, .spaced = true});
    require(loquat::to_json(loquat::parse_json(ascii)) == printed);
  } else if (loquat::text::is_valid_utf8(text)) {
    require(error.offset <= text.size());
    require(loquat::diagnose_json(text).character <= loquat::text::length(text));
  }
}

void check_schema(std::string_view text) {
  try {
    const auto outer = schema::read_body<Outer>(text, "application/json");
    require(loquat::text::is_valid_utf8(loquat::to_json(schema::write(outer))));
  } catch (const loquat::Error& error) {
    require(error.code() == loquat::Code::invalid || error.code() == loquat::Code::malformed);
    require((error.code() == loquat::Code::invalid) == !error.issues().empty());
    if (!error.issues().empty()) require(loquat::parse_json(error.issues(), 1000).is_array());
  }
}

void check_query(std::string_view text) {
  schema::Issues issues;
  const schema::QueryReader query(loquat::url::parse_query(text), issues);
  (void)query.find_integer("i", {.at_least = 1, .at_most = 1000});
  (void)query.find_number("f");
  (void)query.find_boolean("b");
  if (const auto time = query.find_time("d")) require(loquat::to_iso8601(*time).size() >= 25);
  require(loquat::parse_json(loquat::to_json(issues.to_json())).is_array());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_json(text);
  check_schema(text);
  check_query(text);
  return 0;
}

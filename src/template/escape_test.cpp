#include <gtest/gtest.h>

#include "core/error.h"
#include "template/template.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] json::object parse(std::string_view text) { return parse_json(text).get_object(); }

[[nodiscard]] std::string url(std::string_view source, std::string_view variables) {
  return Template::compile(source).render(parse(variables), {}, Escape::url);
}

[[nodiscard]] std::string in_json(std::string_view source, std::string_view variables) {
  return Template::compile(source).render(parse(variables), {}, Escape::json_string);
}

}  // namespace

TEST(EscapeUrl, ValuesStayInTheirPlace) {
  EXPECT_EQ(url("https://api.test/{{ x }}?q={{ x }}", R"({"x": "a/../b?c=d&e=f#g @h:é"})"),
            "https://api.test/a%2F..%2Fb%3Fc%3Dd%26e%3Df%23g%20%40h%3A%C3%A9?q=a%2F..%2Fb%3Fc%3Dd%26e%3Df%23g%20%40h%3A%C3%A9");
  EXPECT_EQ(url("https://{{ x }}/", R"({"x": "evil.test/"})"), "https://evil.test%2F/");
  EXPECT_EQ(url("/{{ n }}/{{ f }}/{{ b }}/{{ u }}", R"({"n": -5, "f": 1e21, "b": true})"), "/-5/1e%2B21/True/");
  EXPECT_EQ(url("/{{ l }}", R"({"l": [1, "a"]})"), "/%5B1%2C%20%27a%27%5D");
  EXPECT_EQ(url("/{{ x }}", R"({"x": "Az09-._~"})"), "/Az09-._~");
}

TEST(EscapeUrl, EveryWayOutIsEscaped) {
  EXPECT_EQ(url("/{{ 'a' ~ x }}", R"({"x": "/"})"), "/a%2F");
  EXPECT_EQ(url("/{% filter lower %}{{ x }}{% endfilter %}", R"({"x": "/A"})"), "/%2Fa");
  EXPECT_EQ(url("/{% set y %}{{ x }}{% endset %}{{ y }}", R"({"x": "?"})"), "/%3F");
  EXPECT_EQ(url("{% macro m(v) %}{{ v }}{% endmacro %}/{{ m(x) }}", R"({"x": "&"})"), "/%26");
  EXPECT_EQ(url("{% macro m() %}{{ caller() }}{% endmacro %}/{% call m() %}{{ x }}{% endcall %}", R"({"x": "&"})"), "/%26");
  EXPECT_EQ(url("/{% for c in x %}{{ c }}{% endfor %}", R"({"x": "a&b"})"), "/a%26b");
  EXPECT_EQ(url("{% for c in x recursive %}/{{ c }}{% endfor %}", R"({"x": "a&"})"), "/a/%26");
}

TEST(EscapeUrl, AuthorsTextIsKept) {
  EXPECT_EQ(url("/{{ 'items/all' if x else 'none' }}?{{ y|default('a=b') }}", R"({"x": 1})"), "/items/all?a=b");
  EXPECT_EQ(url("{{ base|safe }}/v1", R"({"base": "https://h:80"})"), "https://h:80/v1");
  EXPECT_EQ(url("?q={{ x|urlencode }}&{{ {'a b': x}|urlencode }}", R"({"x": "a/b c&d"})"), "?q=a%2Fb%20c%26d&a+b=a%2Fb+c%26d");
}

TEST(EscapeJson, InsideQuotes) {
  EXPECT_EQ(in_json(R"({"a": "{{ x }}"})", R"({"x": "q\" \\ \n é \u0001"})"), R"({"a": "q\" \\ \n é \u0001"})");
  EXPECT_EQ(in_json(R"({"a": "{{ x }}"})", R"({"x": "\", \"admin\": true, \"b\": \""})"), R"({"a": "\", \"admin\": true, \"b\": \""})");
  EXPECT_EQ(in_json(R"({"a": "{{ n }} {{ l }} {{ u }}"})", R"({"n": 1, "l": ["a"]})"), R"({"a": "1 ['a'] "})");
  EXPECT_EQ(in_json(R"({"a": "{{ x|tojson }}"})", R"({"x": "a\"b"})"), R"({"a": "\"a\\\"b\""})");
  EXPECT_EQ(in_json(R"({"a\"{{ x }}": "b\\{{ x }}"})", R"({"x": "\""})"), R"({"a\"\"": "b\\\""})");
}

TEST(EscapeJson, ABackslashOfTheAuthorIsNotCompletedByAUser) {
  const std::string text = in_json(R"({"a": "\{{ x }}"})", R"({"x": "\", \"b\": \"1"})");
  EXPECT_EQ(parse_json(text).get_object().size(), 1U) << text;
  EXPECT_EQ(in_json(R"({"a": "\{{ x }}n"})", R"({"x": ""})"), R"({"a": "\n"})");
}

TEST(EscapeJson, OutsideQuotes) {
  constexpr std::string_view data =
      R"({"n": 5, "f": 1.5, "t": true, "z": null, "l": [1, "a\"b"], "d": {"k": [null]}, "s": "text", "num": "12", "neg": "-1.5e3",
          "bool": "true", "bad": "1, \"x\": 2", "lead": "012", "empty": ""})";
  EXPECT_EQ(in_json("[{{ n }}, {{ f }}, {{ t }}, {{ z }}, {{ u }}]", data), "[5, 1.5, true, null, null]");
  EXPECT_EQ(in_json("[{{ l }}, {{ d }}]", data), R"([[1,"a\"b"], {"k":[null]}])");
  EXPECT_EQ(in_json("[{{ s }}, {{ num }}, {{ neg }}, {{ bool }}, {{ bad }}, {{ lead }}, {{ empty }}]", data),
            R"(["text", 12, -1.5e3, true, "1, \"x\": 2", "012", ""])");
  EXPECT_EQ(in_json("{{ l|tojson }}", data), R"([1, "a\"b"])");
  EXPECT_EQ(in_json("{ {{ s }}: {{ s|upper }} }", data), R"({ "text": "TEXT" })");
}

TEST(EscapeJson, AuthorsTextOutsideQuotes) {
  EXPECT_EQ(in_json(R"([{% for i in l %}"{{ i }}"{{ "," if not loop.last }}{% endfor %}])", R"({"l": ["a", "b\""]})"), R"(["a","b\""])");
  EXPECT_EQ(in_json(R"({"a": {{ x|default('null') }}, "b": {{ x or 0 }}{{ ', "c": 1' if y }}})", R"({"y": 1})"),
            R"({"a": null, "b": 0, "c": 1})");
  EXPECT_EQ(in_json(R"({% set j = joiner(',') %}[{% for i in l %}{{ j() }}{{ i }}{% endfor %}])", R"({"l": [1, "a"]})"), R"([1,"a"])");
  EXPECT_EQ(in_json("{{ body|safe }}", R"({"body": "{\"a\": 1}"})"), R"({"a": 1})");
}

TEST(EscapeNone, IsTheDefault) {
  EXPECT_EQ(Template::compile("{{ x }}").render(parse(R"({"x": "<a href=\"/?b&c\">"})")), "<a href=\"/?b&c\">");
}

}  // namespace loquat::tmpl

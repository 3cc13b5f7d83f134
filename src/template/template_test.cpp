#include "template/template.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "core/error.h"
#include "template/numbers.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] json::object parse(std::string_view text) { return parse_json(text).get_object(); }

[[nodiscard]] std::string render(std::string_view source, std::string_view variables = "{}") {
  return Template::compile(source).render(parse(variables));
}

/// The message of the Error that ends a rendering, or its output when there is none.
[[nodiscard]] std::string failure(std::string_view source, std::string_view variables = "{}") {
  try {
    return "no failure: " + render(source, variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.what();
  }
}

}  // namespace

TEST(Template, PlainTextIsItself) {
  const Template plain = Template::compile("Hello,\r\nworld!\n");
  EXPECT_TRUE(plain.is_plain());
  EXPECT_EQ(plain.render({}), "Hello,\nworld!");
  EXPECT_FALSE(Template::compile("{{ a }}").is_plain());
  EXPECT_EQ(render(""), "");
  EXPECT_EQ(render("\n"), "");
}

TEST(Template, AnswersOfBots) {
  constexpr std::string_view data = R"({"context": {"username": "Ada"}, "parameters": {"city": "new york", "n": 3},
    "result": {"temp": 21.456, "items": [{"name": "a"}, {"name": "b"}]}})";
  EXPECT_EQ(render("Hello {{ context.username }}!", data), "Hello Ada!");
  EXPECT_EQ(render("{{ parameters.city|title }}: {{ result.temp|round(1) }}", data), "New York: 21.5");
  EXPECT_EQ(render("{% for i in result['items'] %}{{ loop.index }}.{{ i.name }}{{ '###' if not loop.last }}{% endfor %}", data),
            "1.a###2.b");
  EXPECT_EQ(render("{{ result.items is callable }} {{ parameters }}", data), "True {'city': 'new york', 'n': 3}");
}

TEST(Template, DefaultFallbackPicksALine) {
  const Template fallback = Template::compile("{{ [\n  \"one\",\n  \"two\"\n] | random }}\xEF\xBB\xBF\n");
  for (int i = 0; i < 20; ++i) {
    const std::string text = fallback.render({});
    EXPECT_TRUE(text == "one\xEF\xBB\xBF" || text == "two\xEF\xBB\xBF") << text;
  }
}

TEST(Template, SilentUndefined) {
  for (const auto& [source, expected] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"{{x}}", ""},
           {"{{x.y}}", "undefined"},
           {"{{x[\"y\"]}}", "undefined"},
           {"{{x+1}}", "undefined"},
           {"{{x()}}", "undefined"},
           {"{{x.y.z}}", ""},
           {"{{x~\"a\"}}", "a"},
           {"{{x==1}}", "False"},
           {"{{x>1}}", "undefined"},
           {"{{ -x}}", "undefined"},
           {"{{x**2}}", "undefined"},
           {"{{'a' + x}}", "undefined"},
           {"{{x in [1]}}", "False"},
           {"{% if x %}a{% else %}b{% endif %}", "b"},
           {"{% for i in x %}a{% else %}b{% endfor %}", "b"},
           {"{{x|default('d')}}{{x|length}}{{x|upper}}", "d0"},
       }) {
    EXPECT_EQ(render(source), expected) << source;
  }
  EXPECT_NE(failure("{{ x|tojson }}").find("JSON"), std::string::npos);
  EXPECT_NE(failure("{{ x - 1 }}").find("undefined"), std::string::npos);
}

TEST(Template, ErrorsTellTheLine) {
  EXPECT_EQ(failure("a\n{{ x|nope }}"), "template: No filter named 'nope'. (line 2)");
  EXPECT_EQ(failure("{% if false %}{{ x is nope }}{% endif %}"), "no failure: ") << "in an `if` only what is reached counts";
  EXPECT_EQ(failure("{{ x is nope }}"), "template: No test named 'nope'. (line 1)");
  EXPECT_EQ(failure("a\nb\n{{ 1/0 }}"), "template: division by zero (line 3)");
  EXPECT_NE(failure("{% include 'a' %}").find("not supported"), std::string::npos);
  EXPECT_NE(failure("{% extends 'a' %}").find("not supported"), std::string::npos);
  EXPECT_NE(failure("{% import 'a' as b %}").find("not supported"), std::string::npos);
  EXPECT_NE(failure("{% do x %}").find("unknown tag"), std::string::npos);
  EXPECT_NE(failure("{{ x").find("line 1"), std::string::npos);
  EXPECT_NE(failure("\n\n{% for %}").find("line 3"), std::string::npos);
}

TEST(Template, BigIntegersAreExact) {
  EXPECT_EQ(render("{{ 2**100 }} {{ 9223372036854775807 + 1 }} {{ 10**30 // 7 }}"),
            "1267650600228229401496703205376 9223372036854775808 142857142857142857142857142857");
  EXPECT_EQ(render("{{ n + 1 }}", R"({"n": 9223372036854775807})"), "9223372036854775808");
  EXPECT_EQ(render("{{ n }} {{ big }}", R"({"n": 18446744073709551615, "big": 100000000000000000000})"), "18446744073709551615 1e+20");
}

TEST(Template, VariablesAreNotChanged) {
  const json::object data = parse(R"({"l": [1, 2], "d": {"a": {"b": 1}}})");
  const Template append = Template::compile("{% set _ = l.append(3) %}{% set _ = d.a.update(b=2) %}{{ l }}{{ d.a }}{{ d }}");
  EXPECT_EQ(append.render(data), "[1, 2, 3]{'b': 2}{'a': {'b': 2}}");
  EXPECT_EQ(append.render(data), "[1, 2, 3]{'b': 2}{'a': {'b': 2}}");
  EXPECT_EQ(to_json(data), R"({"l":[1,2],"d":{"a":{"b":1}}})");
}

TEST(Template, DictsOfManyKeys) {
  json::object numbers;
  for (int i = 0; i < 1000; ++i) {
    numbers["k" + std::to_string(i)] = i;
  }
  const Template sum = Template::compile(
      "{{ d.k999 }} {{ d|length }} {{ d.values()|sum }} {% set _ = d.pop('k500') %}{{ d.k500 }}|{{ d.k501 }} {{ d|length }}"
      "{% set e = {} %}{% for i in range(100) %}{% set _ = e.update({i: i * i}) %}{% endfor %} {{ e[99] }} {{ e[true] }} {{ e[2.0] }}");
  EXPECT_EQ(sum.render({{"d", numbers}}), "999 1000 499500 |501 999 9801 1 4");
}

TEST(Template, CopiesShareTheTreeAndThreadsRender) {
  const Template original = Template::compile("{% for i in range(50) %}{{ name|upper }}{{ i }}{{ {'k': i}.k }}{% endfor %}");
  std::vector<std::jthread> threads;
  std::vector<std::string> results(4);
  threads.reserve(results.size());
  for (std::size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([&results, t, copy = original] {
      for (int i = 0; i < 20; ++i) {
        results[t] = copy.render({{"name", "n"}});
      }
    });
  }
  threads.clear();
  const std::string expected = original.render({{"name", "n"}});
  for (const std::string& result : results) {
    EXPECT_EQ(result, expected);
  }
}

TEST(Template, BadUtf8DoesNoHarm) {
  const std::string bad = "a\xFF\xC3(\xE2\x82 \xF0\x9F";
  EXPECT_EQ(render(bad), bad);
  EXPECT_EQ(Template::compile("{{ v|length }}{{ v[::-1]|length }}{{ v|upper|length }}").render({{"v", bad}}).substr(0, 1), "9");
  EXPECT_NE(failure("{{ \xFF }}").find("line 1"), std::string::npos);
}

TEST(Template, Recursion) {
  EXPECT_EQ(render("{% macro f(n) %}{{ n }}{% if n %},{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}"), "5,4,3,2,1,0");
  EXPECT_EQ(render("{% for a in [1, [2, [3]]] recursive %}{{ '(' ~ loop(a) ~ ')' if a is iterable else a }}{% endfor %}"), "1(2(3))");
}

// The quick way of writing decimals rounds as the library's exact one does, halves included.
TEST(Template, DecimalsAreExact) {
  std::mt19937_64 random(7);
  std::vector<double> values{0, -0.0, 0.5, 1.5, 2.5, 0.125, 0.375, 1e-9, 5e-324, 2.2e-308, 9e15, 9.1e15, 1e300, 1.005, 123456789.987654321};
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(std::ldexp(static_cast<double>(random() % 1'000'000), -static_cast<int>(random() % 12)));  // many halves
    const auto any = std::bit_cast<double>(random());
    if (std::isfinite(any)) values.push_back(any);
    values.push_back(std::ldexp(static_cast<double>(random() >> 11U), -static_cast<int>(random() % 80)));
  }
  for (const double value : values) {
    for (const int digits : {0, 1, 2, 6, 9, 12}) {
      std::array<char, 700> fast{};
      std::array<char, 700> exact{};
      const std::string_view ours(fast.data(), write_fixed(fast.data(), value, digits));
      const auto end = std::to_chars(exact.data(), exact.data() + exact.size(), value, std::chars_format::fixed, digits).ptr;
      ASSERT_EQ(ours, std::string_view(exact.data(), end)) << value << " with " << digits;
    }
  }
}

}  // namespace loquat::tmpl

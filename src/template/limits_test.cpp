#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/error.h"
#include "template/template.h"

/// No template hangs, overflows the stack or takes more memory than it may.
namespace loquat::tmpl {

namespace {

/// How the rendering ended; "" when it did not fail.
[[nodiscard]] std::string failure(std::string_view source, const json::object& variables = {}, const Limits& limits = {}) {
  try {
    (void)Template::compile(source).render(variables, limits);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.what();
  }
}

[[nodiscard]] std::string nested(std::string_view open, std::string_view middle, std::string_view close, int depth) {
  std::string out;
  for (int i = 0; i < depth; ++i) {
    out += open;
  }
  out += middle;
  for (int i = 0; i < depth; ++i) {
    out += close;
  }
  return out;
}

}  // namespace

TEST(TemplateLimits, Bombs) {
  for (const char* source : {
           "{{ 'a' * 10**9 }}",
           "{{ 'ab' * 10**18 }}",
           "{{ 'a' * 2**70 }}",
           "{{ [1] * 10**9 }}",
           "{{ [1] * 10**18 }}",
           "{{ 2**(10**9) }}",
           "{{ 10**10**10**10**10 }}",
           "{{ 99999**99999 }}",
           "{{ (2**1024 - 1)|float }}",
           "{{ (2**1024 - 2**970) / 1 }}",
           "{{ 'a'.center(10**10) }}",
           "{{ 'a'.ljust(10**18) }}",
           "{{ 'a'|center(10**9) }}",
           "{{ '1'.zfill(10**10) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '%.1000000000f' % 1.5 }}",
           "{{ '%*d' % (10**10, 1) }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{{ '{:,>999999999999}'.format(1) }}",
           "{{ '{:.1000000000f}'.format(1.5) }}",
           "{{ '{:0999999999,}'.format(1) }}",
           "{{ 'a\\nb'|indent(10**9) }}",
           "{{ 'a\\tb'.expandtabs(10**10) }}",
           "{{ [[1]]|tojson(indent=10**9) }}",
           "{{ range(10**9)|list }}",
           "{{ range(10**9)|sum }}",
           "{{ range(10**18)|join }}",
           "{{ (range(10**9)|list)|length }}",
           "{% for i in range(10**9) %}{% endfor %}",
           "{% for i in range(10**9) %}x{% endfor %}",
           "{{ [1]|batch(10**9, 0)|list }}",
           "{{ [1]|slice(10**9)|list }}",
           "{{ ('a' * 100000).replace('a', 'a' * 100000) }}",
           "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
           "{{ ('a' * 1000).join(range(100000)|map('string')) }}",
           "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
           "{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
           "{% set l = [1] %}{% for i in l recursive %}{{ loop(l) }}{% endfor %}",
           "{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}",
           "{% set x = 'a' * 1000000 %}{% for i in range(100000) %}{{ 'b' in x }}{% endfor %}",
           "{% set x = 'a' * 1000000 %}{% for i in range(100000) %}{{ x == x ~ '' }}{% endfor %}",
           "{% set x = ('a' * 1000000) ~ 'b' %}{% for i in range(100000) %}{{ x.count('ab') }}{% endfor %}",
           "{% for a in range(1000) %}{% for b in range(1000) %}{{ a * b }}{% endfor %}{% endfor %}",
           "{{ '{0:{0}}'.format(10**9) }}",
       }) {
    EXPECT_NE(failure(source), "") << source;
  }
}

TEST(TemplateLimits, NestedValues) {
  for (const char* use :
       {"{{ ns.l }}", "{{ ns.l == ns.m }}", "{{ ns.l|tojson }}", "{{ ns.l|pprint }}", "{{ {ns.t: 1} }}", "{{ ns.l < ns.m }}"}) {
    const std::string source =
        "{% set ns = namespace(l=[], m=[], t=()) %}"
        "{% for i in range(60000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% set ns.t = (ns.t,) %}{% endfor %}" +
        std::string(use);
    EXPECT_NE(failure(source, {}, {.memory_bytes = 64 * 1024 * 1024, .steps = 5'000'000}), "") << use;
  }
  EXPECT_NE(
      failure("{% set ns = namespace(g=[1]) %}{% for i in range(60000) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}",
              {}, {.memory_bytes = 64 * 1024 * 1024, .steps = 5'000'000}),
      "");
}

TEST(TemplateLimits, NestedSource) {
  constexpr int deep = 20'000;
  EXPECT_NE(failure("{{ " + nested("(", "1", ")", deep) + " }}"), "");
  EXPECT_NE(failure("{{ " + nested("[", "1", "]", deep) + " }}"), "");
  EXPECT_NE(failure("{{ " + nested("{1:", "1", "}", deep) + " }}"), "");
  EXPECT_NE(failure("{{ " + nested("-", "1", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ " + nested("not ", "1", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ 1" + nested("+1", "", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ 1" + nested("|string", "", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ x" + nested(".a", "", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ x" + nested("()", "", "", deep) + " }}"), "");
  EXPECT_NE(failure("{{ " + nested("1 if 1 else ", "1", "", deep) + " }}"), "");
  EXPECT_NE(failure(nested("{% if 1 %}", "1", "{% endif %}", 5000)), "");
  EXPECT_NE(failure(nested("{% for i in [1] %}", "1", "{% endfor %}", 5000)), "");
  EXPECT_NE(failure(nested("{% macro m() %}", "1", "{% endmacro %}", 5000)), "");
  EXPECT_EQ(failure("{{ " + nested("(", "1", ")", 50) + " }}"), "");
  EXPECT_EQ(failure(nested("{% if 1 %}", "1", "{% endif %}", 50)), "");
  EXPECT_EQ(failure("{{ 1" + nested("~1", "", "", 2000) + " }}"), "");
}

TEST(TemplateLimits, LargeSources) {
  EXPECT_NE(failure(std::string(300 * 1024, 'a')), "");
  EXPECT_EQ(failure(std::string(200 * 1024, 'a')), "");
  std::string many;
  for (int i = 0; i < 5000; ++i) {
    many += "{% if a" + std::to_string(i) + " %}{% set b" + std::to_string(i) + " = 1 %}{% endif %}";
  }
  EXPECT_EQ(failure(many), "");
}

TEST(TemplateLimits, EachLimitHolds) {
  EXPECT_NE(failure("{{ 'a' * 2000 }}", {}, {.output_bytes = 1000}), "");
  EXPECT_EQ(failure("{{ 'a' * 900 }}", {}, {.output_bytes = 1000}), "");
  EXPECT_NE(failure("aaaaaaaaaaaa", {}, {.output_bytes = 10}), "");
  EXPECT_NE(failure("{% for i in range(100) %}{{ i }}{% endfor %}", {}, {.steps = 100}), "");
  EXPECT_NE(failure("{{ ('a' * 100000)|upper|length }}", {}, {.memory_bytes = 100'000}), "");
  EXPECT_NE(failure("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(10) }}", {}, {.depth = 5}), "");
  EXPECT_EQ(failure("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(10) }}", {}, {.depth = 20}), "");
}

/// A megabyte of what a user typed, within the ordinary limits: most of these took minutes when the time was quadratic.
TEST(TemplateLimits, LargeTextsAreUrlized) {
  constexpr std::size_t size = 1'000'000;
  const std::string half_at = "a" + nested("@", ".", "x", size / 2);
  const std::string brackets = "x" + nested("(", "y", ")", size / 2);
  const std::string escaped = "x" + nested("<", "y", ">", size / 20);
  for (const auto& [text, length] : std::vector<std::pair<std::string, std::size_t>>{
           {nested("a@", "", "", size / 2), size},
           {nested("@a.", "", "", size / 3), size / 3 * 3},
           {half_at, half_at.size()},
           {nested("a@", "b.co", "", size / 2), 2 * (size + 4) + 22},
           {brackets, brackets.size()},
           {escaped, 2 + size / 20 * 8},
           {nested("(", "", ")", size / 2), size},
           {nested("www.", "", "", size / 4), 2 * (size - 1) + 39},
           {nested("a.", "com", "", size / 2), size + 3},
           {"http://" + nested("a.", "com", "", size / 2), 2 * (size + 10) + 30},
       }) {
    const json::object data{{"text", text}};
    EXPECT_EQ(Template::compile("{{ text|urlize|length }}").render(data), std::to_string(length)) << text.substr(0, 20);
    EXPECT_NE(failure("{{ text|urlize|length }}", data, {.steps = text.size() / 64}), "") << text.substr(0, 20);
  }
}

TEST(TemplateLimits, PathologicalSearches) {
  const json::object data{{"hay", std::string(200'000, 'a')}, {"needle", std::string(100'000, 'a') + "b"}};
  for (const char* source :
       {"{{ needle in hay }}", "{{ hay.find(needle) }}", "{{ hay.rfind(needle) }}", "{{ hay.count(needle) }}",
        "{{ hay.replace(needle, '') | length }}", "{{ hay.split(needle) | length }}", "{{ hay.rsplit(needle)|length }}",
        "{{ ('<' * 100000)|striptags|length }}", "{{ ('&' * 100000)|striptags|length }}", "{{ ('@a.' * 30000)|urlize|length }}",
        "{{ ('www.' * 30000)|urlize|length }}", "{{ ('-' * 100000)|wordwrap(5)|length }}", "{{ (hay|list|sort)|length }}"}) {
    const auto start = std::chrono::steady_clock::now();
    (void)failure(source, data);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << source;
  }
}

}  // namespace loquat::tmpl

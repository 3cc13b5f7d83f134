#include <benchmark/benchmark.h>

#include "template/template.h"

namespace {

using loquat::tmpl::Template;
namespace json = loquat::json;

/// The four templates of bench/template_vs_jinja.py.
constexpr const char* greeting = "Hello {{ context.username }}, how can I help you?";
constexpr const char* condition =
    "{% if parameters.city %}Weather in {{ parameters.city|title }}: {{ result.temp|round(1) }} degrees{% else %}Where?{% endif %}";
constexpr const char* loop =
    "{% for item in result['items'] %}{{ loop.index }}. {{ item.name|upper }}: {{ '%.2f'|format(item.price) }}"
    "{% if not loop.last %}, {% endif %}{% endfor %}";
constexpr const char* macro =
    "{% macro row(a, b=2) %}[{{ a }}:{{ b }}]{% endmacro %}{% set total = namespace(n=0) %}"
    "{% for item in result['items'] if item.price > 2 %}{% set total.n = total.n + item.price %}{{ row(item.name) }}{% endfor %}"
    "{{ total.n }} {{ result['items']|map(attribute='name')|join(', ') }}";

[[nodiscard]] json::object variables() {
  json::array items;
  for (int i = 0; i < 10; ++i) {
    items.push_back(json::object{{"name", "item" + std::to_string(i)}, {"price", i * 1.25}});
  }
  return {{"context", json::object{{"username", "Ada"}, {"channel", "rest"}}},
          {"parameters", json::object{{"city", "new york"}}},
          {"result", json::object{{"temp", 21.456}, {"items", items}}}};
}

void render(benchmark::State& state, const char* source) {
  const Template compiled = Template::compile(source);
  const json::object data = variables();
  for (auto _ : state) {
    benchmark::DoNotOptimize(compiled.render(data));
  }
}

void compile(benchmark::State& state, const char* source) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(Template::compile(source));
  }
}

BENCHMARK_CAPTURE(render, greeting, greeting);
BENCHMARK_CAPTURE(render, condition, condition);
BENCHMARK_CAPTURE(render, loop, loop);
BENCHMARK_CAPTURE(render, macro, macro);
BENCHMARK_CAPTURE(compile, loop, loop);

}  // namespace

BENCHMARK_MAIN();

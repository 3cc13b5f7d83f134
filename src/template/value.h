#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/json.h"
#include "template/memory.h"

/// What templates compute with. A Value is 16 bytes and freely copied; what it points to lives in the Memory of one rendering (or
/// of the compiled template, for constants) and is shared by all copies, as Python's objects are.
namespace loquat::tmpl {

class Runtime;
class Iterator;
struct Big;
struct MacroNode;
struct Activation;
struct Value;

enum class Kind : std::uint8_t {
  missing,  ///< a variable nothing was assigned to: never the result of an expression
  undefined,
  none,
  boolean,
  integer,
  big,  ///< an integer beyond 64 bits
  real,
  string,
  list,
  tuple,
  dict,
  view,  ///< what dict.keys(), values() and items() return
  range,
  iterator,
  function,
  macro,
  nspace,
  cycler,
  joiner,
  loop,
};

struct Str {
  static constexpr std::uint8_t markup = 1;       ///< Markup: not escaped again
  static constexpr std::uint8_t author = 2;       ///< a literal of the template itself
  static constexpr std::uint8_t raw = 4;          ///< came out of the filter `safe`
  static constexpr std::uint8_t json = 8;         ///< came out of `tojson`
  static constexpr std::uint8_t urlencoded = 16;  ///< came out of `urlencode`

  const char* data = nullptr;
  std::size_t size = 0;
  mutable std::int64_t chars = -1;  ///< number of code points once counted
  mutable std::uint64_t hash = 0;   ///< 0: not computed yet
  std::uint8_t flags = 0;

  [[nodiscard]] std::string_view view() const noexcept { return {data, size}; }
};

struct List;
struct Dict;
struct View;
struct Range;
struct Function;
struct Macro;
struct Cycler;
struct Joiner;
struct Loop;

/// Why something is undefined. `plain`: jinja's own Undefined (an inline if without else), whose use fails.
struct Undefined {
  std::string_view name;
  bool plain = false;
};

struct Value {
  Kind kind = Kind::missing;
  union {
    bool boolean;
    std::int64_t integer;
    double real;
    const Big* big;
    const Str* string;
    const Undefined* undefined;
    List* list;
    Dict* dict;
    View* view;
    Range* range;
    Iterator* iterator;
    const Function* function;
    const Macro* macro;
    Cycler* cycler;
    Joiner* joiner;
    Loop* loop;
  };

  constexpr Value() noexcept : integer(0) {}
  constexpr explicit Value(Kind k) noexcept : kind(k), integer(0) {}
  Value(const Str* s) noexcept : kind(Kind::string), string(s) {}  // NOLINT(google-explicit-constructor)
  Value(List* l, Kind k) noexcept : kind(k), list(l) {}
  Value(Dict* d, Kind k = Kind::dict) noexcept : kind(k), dict(d) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] static Value none() noexcept { return Value{Kind::none}; }
  [[nodiscard]] static Value of(bool b) noexcept {
    Value v{Kind::boolean};
    v.boolean = b;
    return v;
  }
  [[nodiscard]] static Value of(std::int64_t i) noexcept {
    Value v{Kind::integer};
    v.integer = i;
    return v;
  }
  [[nodiscard]] static Value of(std::size_t i) noexcept { return of(static_cast<std::int64_t>(i)); }
  [[nodiscard]] static Value of(double d) noexcept {
    Value v{Kind::real};
    v.real = d;
    return v;
  }

  [[nodiscard]] bool is(Kind k) const noexcept { return kind == k; }
  [[nodiscard]] bool is_undefined() const noexcept { return kind == Kind::undefined; }
  [[nodiscard]] bool is_string() const noexcept { return kind == Kind::string; }
  [[nodiscard]] bool is_sequence() const noexcept { return kind == Kind::list || kind == Kind::tuple; }
  /// bool or int of at most 64 bits: what Python treats as an index.
  [[nodiscard]] bool is_index() const noexcept { return kind == Kind::integer || kind == Kind::boolean; }
  [[nodiscard]] std::int64_t index() const noexcept { return kind == Kind::boolean ? static_cast<std::int64_t>(boolean) : integer; }
  [[nodiscard]] std::string_view text() const noexcept { return string->view(); }
};
static_assert(sizeof(Value) == 16);

/// A list or tuple. `source`: a JSON array whose items are not converted yet.
struct List {
  Vec<Value> items;
  const json::array* source = nullptr;
  bool group = false;  ///< a tuple of `groupby`: has `grouper` and `list`
};

struct Entry {
  Value key;
  Value value;
  std::uint64_t hash = 0;
};

/// A dict in order of insertion; with more than eight entries there is an index. `source`: a JSON object not converted yet.
struct Dict {
  Vec<Entry> entries;
  const json::object* source = nullptr;
  std::uint32_t* slots = nullptr;  ///< open addressing, entry number + 1
  std::size_t slot_count = 0;
};

struct View {
  enum class What : std::uint8_t { keys, values, items };
  Dict* dict;
  What what;
};

struct Range {
  std::int64_t start;
  std::int64_t stop;
  std::int64_t step;
  [[nodiscard]] std::int64_t length() const noexcept;
};

struct Keyword {
  const Str* name;
  Value value;
};

struct Args {
  std::span<const Value> positional{};
  std::span<const Keyword> keywords{};
  [[nodiscard]] std::size_t count() const noexcept { return positional.size() + keywords.size(); }
};

/// A built-in: `self` is the object of a method, the value of a filter or test, nothing for a global.
using Native = Value (*)(Runtime& rt, const Value& self, const Args& args);

struct Function {
  Native call;
  Value self;
  std::string_view name;
  bool is_class = false;
};

struct Macro {
  const MacroNode* node;
  Activation* scope;
};

struct Cycler {
  List* items;
  std::size_t position = 0;
};

struct Joiner {
  Value separator;
  bool used = false;
};

/// Something that is read once, from front to back.
class Iterator {
 public:
  [[nodiscard]] virtual bool next(Runtime& rt, Value& out) = 0;
  [[nodiscard]] virtual std::string_view type_name() const noexcept { return "generator"; }

 protected:
  ~Iterator() = default;
};

}  // namespace loquat::tmpl

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "template/memory.h"
#include "template/value.h"

/// A compiled template. Everything in it lives in Ast::memory and is not changed after compile(): renderings share it.
namespace loquat::tmpl {

struct Methods;
struct Stmt;

/// Where a name's value is found. `global`: a variable of the rendering or a built-in, slot of Ast::globals. `local`: a slot of the
/// activation `up` levels out. `exported`: in a block: what the template's top level has set, else a global.
struct Binding {
  enum class Where : std::uint8_t { global, local, exported };
  Where where = Where::global;
  std::uint16_t up = 0;
  std::uint32_t slot = 0;
};

/// What happens to a frame's variables when it is entered: copied from outside, or nothing is assigned yet.
struct Load {
  std::uint32_t slot = 0;
  bool from_outside = false;
  Binding source;
};

struct Frame {
  std::span<const Load> loads;
};

struct Expr;

struct KeywordExpr {
  const Str* name;
  Expr* value;
};

struct CallArgs {
  std::span<Expr*> positional{};
  std::span<KeywordExpr> keywords{};
  Expr* more_positional = nullptr;  ///< *args
  Expr* more_keywords = nullptr;    ///< **kwargs

  [[nodiscard]] bool is_empty() const noexcept {
    return positional.empty() && keywords.empty() && more_positional == nullptr && more_keywords == nullptr;
  }
};

enum class Compare : std::uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

struct Comparison {
  Compare op;
  Expr* operand;
};

struct Expr {
  enum class Kind : std::uint8_t {
    constant,
    name,
    list,
    tuple,
    dict,
    negate,
    plus,
    logical_not,
    add,
    sub,
    mul,
    div,
    floordiv,
    mod,
    pow,
    logical_and,
    logical_or,
    concat,
    compare,
    conditional,
    attribute,
    item,
    slice,
    call,
    filter,
    test,
    member,  ///< ns.name as the target of an assignment
  };

  Kind kind;
  std::uint16_t depth = 1;  ///< height of the tree below
  int line = 1;
  Value constant{};                     ///< constant; the key of attribute and member
  const Str* name = nullptr;            ///< name, attribute, filter, test, member
  Binding binding{};                    ///< name, member
  Expr* a = nullptr;                    ///< operand; object; condition
  Expr* b = nullptr;                    ///< second operand; key; value if true; start
  Expr* c = nullptr;                    ///< value if false; stop
  Expr* d = nullptr;                    ///< step
  std::span<Expr*> items{};             ///< list, tuple, concat; dict: key, value, key, value
  std::span<Comparison> comparisons{};  ///< compare
  const CallArgs* args = nullptr;       ///< call, filter, test
  Native native = nullptr;              ///< filter, test
  const Methods* methods = nullptr;     ///< attribute: the methods of that name
};

using Body = std::span<Stmt*>;

struct Param {
  const Str* name;
  std::uint32_t slot;
  Expr* fallback;  ///< null: undefined when not given
};

struct MacroNode {
  const Str* name = nullptr;  ///< null: a call block
  int line = 1;
  std::span<Param> params;
  Body body;
  Frame frame;
  std::uint32_t slots = 0;
  std::int64_t caller_slot = -1;  ///< hidden parameters, -1: not used in the body
  std::int64_t varargs_slot = -1;
  std::int64_t kwargs_slot = -1;
  bool uses_caller = false;
  bool explicit_caller = false;  ///< a parameter is named caller
};

struct Branch {
  Expr* condition;  ///< null: else
  Body body;
};

struct ForNode {
  Expr* target = nullptr;
  Expr* iterable = nullptr;
  Expr* test = nullptr;
  Expr* test_target = nullptr;  ///< the target once more, bound in the frame of the test
  Body body;
  Body otherwise;
  bool has_else = false;
  bool recursive = false;
  std::int64_t loop_slot = -1;  ///< -1: `loop` is not used
  Frame frame;
  Frame test_frame;
  Frame else_frame;
  std::uint32_t slots = 0;  ///< recursive: size of its own activation
};

struct Stmt {
  enum class Kind : std::uint8_t {
    text,
    print,
    branch,
    loop,
    assign,
    assign_block,
    macro,
    call_block,
    filter_block,
    with,
    autoescape,
    block,
  };

  Kind kind;
  int line = 1;
  const Str* text = nullptr;   ///< text; name of a block
  Expr* value = nullptr;       ///< print, assign, autoescape; call of a call block; filter of filter and set blocks
  Expr* target = nullptr;      ///< assign, assign_block, macro
  std::span<Branch> branches;  ///< branch
  ForNode* loop = nullptr;     ///< loop
  MacroNode* macro = nullptr;  ///< macro, call_block
  std::span<Expr*> targets;    ///< with
  std::span<Expr*> values;     ///< with
  Body body;                   ///< blocks
  Frame frame;                 ///< blocks, with
  std::uint32_t slots = 0;     ///< block: size of its own activation
  bool exported = false;       ///< assign, assign_block, macro: at the top level, so that blocks see it
};

struct Ast {
  explicit Ast(std::size_t memory_limit) : memory(memory_limit) {}

  Memory memory;
  Body body;
  Frame frame;
  std::uint32_t slots = 0;
  std::span<const Str*> globals;
  bool has_blocks = false;
  bool plain = false;  ///< no tags at all: `plain_text` is the output
  std::string plain_text;
  std::size_t text_size = 0;  ///< bytes of literal text: a hint for the size of the output
};

}  // namespace loquat::tmpl

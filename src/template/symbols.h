#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "template/ast.h"
#include "template/walk.h"

namespace loquat::tmpl {

/// A function of the generated code in Jinja2: the template, a macro, a recursive loop, a block. At run time one Activation a call.
struct FunctionScope {
  std::uint16_t level = 0;
  std::uint32_t slots = 0;
};

struct Ref {
  std::string_view name;
  FunctionScope* scope;
  std::uint32_t slot;
  bool stored = false;  ///< otherwise the name is only read here and comes from outside the template
};

struct Rule {
  enum class From { param, outside, outer, nothing };
  From from;
  const Ref* outer = nullptr;
};

/// The variables of one frame. The branches of an `if` have a layer each over those of their frame.
struct Symbols {
  const Symbols* parent = nullptr;  ///< the frame around
  const Symbols* base = nullptr;    ///< the same frame before the branch
  FunctionScope* scope = nullptr;
  std::map<std::string_view, Ref*>* known = nullptr;  ///< all refs of the frame, shared by its layers
  bool exports = false;                               ///< names from outside may be what the top level has set
  std::map<std::string_view, Ref*> refs;
  std::map<const Ref*, Rule> loads;
  std::set<std::string_view> stores;

  [[nodiscard]] Ref* find(std::string_view name) const;
  [[nodiscard]] bool has_own(std::string_view name) const;
  [[nodiscard]] bool has_stored(std::string_view name) const;
};

/// Finds out which names each frame has, as Jinja2's FrameSymbolVisitor does.
class Analysis {
 public:
  [[nodiscard]] Symbols make_frame(const Symbols* parent, FunctionScope& scope);
  /// A name that is given a value before anything in the frame is executed: a parameter or loop target.
  Ref* declare(Symbols& frame, std::string_view name);
  void analyze(const Expr* expr, Use use, Symbols& frame);
  void analyze(Body body, Symbols& frame);

 private:
  [[nodiscard]] static Symbols make_layer(const Symbols& base);
  Ref* define(Symbols& frame, std::string_view name, Rule rule);
  void load(Symbols& frame, std::string_view name);
  void store(Symbols& frame, std::string_view name);
  static void join(Symbols& frame, const std::vector<Symbols>& branches);
  void analyze(const Stmt& stmt, Symbols& frame);
  void analyze_branches(const Stmt& stmt, Symbols& frame);

  std::deque<Ref> refs_;
  std::deque<std::map<std::string_view, Ref*>> known_;
};

}  // namespace loquat::tmpl

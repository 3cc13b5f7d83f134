#include "template/symbols.h"

namespace loquat::tmpl {

Ref* Symbols::find(std::string_view name) const {
  for (const Symbols* frame = this; frame != nullptr; frame = frame->parent) {
    for (const Symbols* layer = frame; layer != nullptr; layer = layer->base) {
      if (const auto found = layer->refs.find(name); found != layer->refs.end()) {
        return found->second;
      }
    }
  }
  return nullptr;
}

bool Symbols::has_own(std::string_view name) const {
  for (const Symbols* layer = this; layer != nullptr; layer = layer->base) {
    if (layer->refs.contains(name)) {
      return true;
    }
  }
  return false;
}

bool Symbols::has_stored(std::string_view name) const {
  for (const Symbols* layer = this; layer != nullptr; layer = layer->base) {
    if (layer->stores.contains(name)) {
      return true;
    }
  }
  return false;
}

Symbols Analysis::make_frame(const Symbols* parent, FunctionScope& scope) {
  Symbols frame;
  frame.parent = parent;
  frame.scope = &scope;
  frame.known = &known_.emplace_back();
  frame.exports = parent != nullptr && parent->exports;
  return frame;
}

Symbols Analysis::make_layer(const Symbols& base) {
  Symbols layer;
  layer.parent = base.parent;
  layer.base = &base;
  layer.scope = base.scope;
  layer.known = base.known;
  layer.exports = base.exports;
  return layer;
}

Ref* Analysis::define(Symbols& frame, std::string_view name, Rule rule) {
  Ref*& ref = (*frame.known)[name];
  if (ref == nullptr) {
    ref = &refs_.emplace_back(Ref{name, frame.scope, frame.scope->slots++});
  }
  frame.refs[name] = ref;
  frame.loads[ref] = rule;
  return ref;
}

void Analysis::load(Symbols& frame, std::string_view name) {
  if (frame.find(name) == nullptr) {
    define(frame, name, {Rule::From::outside});
  }
}

void Analysis::store(Symbols& frame, std::string_view name) {
  frame.stores.insert(name);
  if (!frame.has_own(name)) {
    const Ref* outer = frame.parent != nullptr ? frame.parent->find(name) : nullptr;
    define(frame, name, outer != nullptr ? Rule{Rule::From::outer, outer} : Rule{Rule::From::nothing});
  }
  frame.find(name)->stored = true;
}

Ref* Analysis::declare(Symbols& frame, std::string_view name) {
  frame.stores.insert(name);
  Ref* ref = define(frame, name, {Rule::From::param});
  ref->stored = true;
  return ref;
}

/// After an `if`: what only some branches assign starts as the outer value.
void Analysis::join(Symbols& frame, const std::vector<Symbols>& branches) {
  std::set<std::string_view> stores;
  for (const Symbols& branch : branches) {
    for (const std::string_view name : branch.stores) {
      if (!frame.has_stored(name)) {
        stores.insert(name);
      }
    }
  }
  for (const Symbols& branch : branches) {
    frame.refs.insert(branch.refs.begin(), branch.refs.end());
    for (const auto& [ref, rule] : branch.loads) {
      frame.loads[ref] = rule;
    }
    frame.stores.insert(branch.stores.begin(), branch.stores.end());
  }
  for (const std::string_view name : stores) {
    const Ref* target = frame.find(name);
    const Ref* outer = frame.parent != nullptr ? frame.parent->find(name) : nullptr;
    frame.loads[target] = outer != nullptr ? Rule{Rule::From::outer, outer} : Rule{Rule::From::outside};
  }
}

void Analysis::analyze(const Expr* expr, Use use, Symbols& frame) {
  if (expr == nullptr) {
    return;
  }
  if (expr->kind == Expr::Kind::member) {
    load(frame, expr->name->view());
    return;
  }
  if (expr->kind == Expr::Kind::tuple && use != Use::load) {
    for (const Expr* item : expr->items) {
      analyze(item, use, frame);
    }
    return;
  }
  const auto seen = [&](const Expr& name, Use how) {
    const std::string_view text = name.name->view();
    if (how == Use::load) {
      load(frame, text);
    } else if (how == Use::store) {
      store(frame, text);
    } else {
      declare(frame, text);
    }
  };
  walk(expr, use, seen);
}

void Analysis::analyze(Body body, Symbols& frame) {
  for (const Stmt* stmt : body) {
    analyze(*stmt, frame);
  }
}

void Analysis::analyze(const Stmt& stmt, Symbols& frame) {
  switch (stmt.kind) {
    case Stmt::Kind::text:
    case Stmt::Kind::block:
    case Stmt::Kind::autoescape: return;
    case Stmt::Kind::print: analyze(stmt.value, Use::load, frame); return;
    case Stmt::Kind::branch: analyze_branches(stmt, frame); return;
    case Stmt::Kind::loop: analyze(stmt.loop->iterable, Use::load, frame); return;
    case Stmt::Kind::assign:
      analyze(stmt.value, Use::load, frame);
      analyze(stmt.target, Use::store, frame);
      return;
    case Stmt::Kind::assign_block: analyze(stmt.target, Use::store, frame); return;
    case Stmt::Kind::macro: store(frame, stmt.macro->name->view()); return;
    case Stmt::Kind::call_block:
    case Stmt::Kind::filter_block: analyze(stmt.value, Use::load, frame); return;
    case Stmt::Kind::with:
      for (const Expr* value : stmt.values) {
        analyze(value, Use::load, frame);
      }
      return;
  }
}

void Analysis::analyze_branches(const Stmt& stmt, Symbols& frame) {
  analyze(stmt.branches[0].condition, Use::load, frame);
  std::vector<Symbols> layers;
  layers.push_back(make_layer(frame));
  analyze(stmt.branches[0].body, layers.back());
  Symbols elifs = make_layer(frame);
  Symbols otherwise = make_layer(frame);
  for (const Branch& branch : stmt.branches.subspan(1)) {
    if (branch.condition == nullptr) {
      analyze(branch.body, otherwise);
      continue;
    }
    analyze(branch.condition, Use::load, elifs);
    std::vector<Symbols> inner;
    inner.push_back(make_layer(elifs));
    analyze(branch.body, inner.back());
    join(elifs, inner);
  }
  layers.push_back(std::move(elifs));
  layers.push_back(std::move(otherwise));
  join(frame, layers);
}

}  // namespace loquat::tmpl

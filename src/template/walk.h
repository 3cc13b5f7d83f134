#pragma once

#include "template/ast.h"

namespace loquat::tmpl {

enum class Use { load, store, param };

/// Calls `seen(name, use)` for every name below, in the order in which Jinja2 visits the fields of its nodes. Blocks are left out.
template <class F>
void walk(const Expr* expr, Use use, F& seen);
template <class F>
void walk(Body body, F& seen);

template <class F>
void walk_args(const CallArgs* args, F& seen) {
  if (args == nullptr) {
    return;
  }
  for (const Expr* arg : args->positional) {
    walk(arg, Use::load, seen);
  }
  for (const KeywordExpr& keyword : args->keywords) {
    walk(keyword.value, Use::load, seen);
  }
  walk(args->more_positional, Use::load, seen);
  walk(args->more_keywords, Use::load, seen);
}

template <class F>
void walk(const Expr* expr, Use use, F& seen) {
  if (expr == nullptr) {
    return;
  }
  if (expr->kind == Expr::Kind::name) {
    seen(*expr, use);
    return;
  }
  for (const Expr* child : {expr->a, expr->b, expr->c, expr->d}) {
    walk(child, Use::load, seen);
  }
  for (const Expr* item : expr->items) {
    walk(item, expr->kind == Expr::Kind::tuple ? use : Use::load, seen);
  }
  for (const Comparison& comparison : expr->comparisons) {
    walk(comparison.operand, Use::load, seen);
  }
  walk_args(expr->args, seen);
}

template <class F>
void walk_macro(const MacroNode& macro, F& seen) {
  for (const Param& param : macro.params) {
    Expr name{.kind = Expr::Kind::name};
    name.name = param.name;
    seen(name, Use::param);
  }
  for (const Param& param : macro.params) {
    walk(param.fallback, Use::load, seen);
  }
  walk(macro.body, seen);
}

template <class F>
void walk_loop(const ForNode& loop, F& seen) {
  walk(loop.target, Use::store, seen);
  walk(loop.iterable, Use::load, seen);
  walk(loop.body, seen);
  walk(loop.otherwise, seen);
  walk(loop.test, Use::load, seen);
}

template <class F>
void walk(const Stmt& stmt, F& seen) {
  switch (stmt.kind) {
    case Stmt::Kind::text:
    case Stmt::Kind::block: return;
    case Stmt::Kind::print: walk(stmt.value, Use::load, seen); return;
    case Stmt::Kind::branch:
      for (const Branch& branch : stmt.branches) {
        walk(branch.condition, Use::load, seen);
        walk(branch.body, seen);
      }
      return;
    case Stmt::Kind::loop: walk_loop(*stmt.loop, seen); return;
    case Stmt::Kind::assign:
    case Stmt::Kind::assign_block:
      walk(stmt.target, Use::store, seen);
      walk(stmt.value, Use::load, seen);
      walk(stmt.body, seen);
      return;
    case Stmt::Kind::macro: walk_macro(*stmt.macro, seen); return;
    case Stmt::Kind::call_block:
      walk(stmt.value, Use::load, seen);
      walk_macro(*stmt.macro, seen);
      return;
    case Stmt::Kind::filter_block:
      walk(stmt.body, seen);
      walk(stmt.value, Use::load, seen);
      return;
    case Stmt::Kind::with:
      for (const Expr* target : stmt.targets) {
        walk(target, Use::param, seen);
      }
      for (const Expr* value : stmt.values) {
        walk(value, Use::load, seen);
      }
      walk(stmt.body, seen);
      return;
    case Stmt::Kind::autoescape:
      walk(stmt.value, Use::load, seen);
      walk(stmt.body, seen);
      return;
  }
}

template <class F>
void walk(Body body, F& seen) {
  for (const Stmt* stmt : body) {
    walk(*stmt, seen);
  }
}

}  // namespace loquat::tmpl

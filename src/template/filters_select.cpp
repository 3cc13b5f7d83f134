#include "template/attribute_path.h"

/// map, select, reject, selectattr, rejectattr: lazy, as in Jinja2.
namespace loquat::tmpl {

namespace {

/// Copies arguments into the memory of the rendering: the iterator outlives the call.
[[nodiscard]] Args keep_args(Runtime& rt, const Args& args, std::size_t skip) {
  const auto rest = args.positional.subspan(skip);
  Value* positional = rt.memory.make_array<Value>(rest.size());
  std::copy(rest.begin(), rest.end(), positional);
  Keyword* keywords = rt.memory.make_array<Keyword>(args.keywords.size());
  std::copy(args.keywords.begin(), args.keywords.end(), keywords);
  return {{positional, rest.size()}, {keywords, args.keywords.size()}};
}

class FilterMap final : public Iterator {
 public:
  FilterMap(const Cursor& source, Native native, const Args& args) : source_(source), native_(native), args_(args) {}
  [[nodiscard]] bool next(Runtime& rt, Value& out) override {
    rt.check_stack();
    Value item;
    if (!source_.next(rt, item)) {
      return false;
    }
    out = native_(rt, item, args_);
    return true;
  }

 private:
  Cursor source_;
  Native native_;
  Args args_;
};

class AttributeMap final : public Iterator {
 public:
  AttributeMap(const Cursor& source, const AttributePath& path) : source_(source), path_(path) {}
  [[nodiscard]] bool next(Runtime& rt, Value& out) override {
    rt.check_stack();
    Value item;
    if (!source_.next(rt, item)) {
      return false;
    }
    out = path_.get(rt, item);
    return true;
  }

 private:
  Cursor source_;
  AttributePath path_;
};

class Selection final : public Iterator {
 public:
  Selection(const Cursor& source, const AttributePath& path, Native test, const Args& args, bool wanted)
      : source_(source), path_(path), test_(test), args_(args), wanted_(wanted) {}
  [[nodiscard]] bool next(Runtime& rt, Value& out) override {
    rt.check_stack();
    while (source_.next(rt, out)) {
      const Value value = path_.get(rt, out);
      if (truthy(rt, test_ == nullptr ? value : test_(rt, value, args_)) == wanted_) {
        return true;
      }
    }
    return false;
  }

 private:
  Cursor source_;
  AttributePath path_;
  Native test_;
  Args args_;
  bool wanted_;
};

[[nodiscard]] Value nothing(Runtime& rt) { return iterate_list(rt, rt.make_list()); }

Value map_attribute(Runtime& rt, const Value& value, const Args& args) {
  const auto [attribute, fallback] = bind<2>("map", args, {"attribute", "default"}, 1);
  return rt.make_iterator(rt.memory.make<AttributeMap>(Cursor(rt, value), AttributePath(rt, attribute, fallback)));
}

Value map_filter(Runtime& rt, const Value& value, const Args& args) {
  if (!truthy(rt, value)) {
    return nothing(rt);
  }
  if (args.positional.empty()) {
    for (const Keyword& keyword : args.keywords) {
      if (keyword.name->view() == "attribute") {
        return map_attribute(rt, value, args);
      }
    }
    fail("map requires a filter argument");
  }
  const Value& name = args.positional.front();
  const Native native = name.is_string() ? find_filter(name.text()) : nullptr;
  if (native == nullptr) {
    fail("No filter named '" + std::string(text_of(rt, name)) + "'.");
  }
  return rt.make_iterator(rt.memory.make<FilterMap>(Cursor(rt, value), native, keep_args(rt, args, 1)));
}

template <bool wanted, bool by_attribute>
Value select(Runtime& rt, const Value& value, const Args& args) {
  if (!truthy(rt, value)) {
    return nothing(rt);
  }
  std::size_t used = 0;
  if (by_attribute && args.positional.empty()) {
    fail("Missing parameter for attribute name");
  }
  const AttributePath path(rt, by_attribute ? &args.positional[used++] : nullptr);
  Native test = nullptr;
  if (used < args.positional.size()) {
    const Value& name = args.positional[used++];
    test = name.is_string() ? find_test(name.text()) : nullptr;
    if (test == nullptr) {
      fail("No test named '" + std::string(text_of(rt, name)) + "'.");
    }
  }
  return rt.make_iterator(rt.memory.make<Selection>(Cursor(rt, value), path, test, keep_args(rt, args, used), wanted));
}

constexpr std::array<NamedNative, 5> table{{{"map", map_filter},
                                            {"select", select<true, false>},
                                            {"reject", select<false, false>},
                                            {"selectattr", select<true, true>},
                                            {"rejectattr", select<false, true>}}};

}  // namespace

NativeTable select_filters() noexcept { return table; }

}  // namespace loquat::tmpl

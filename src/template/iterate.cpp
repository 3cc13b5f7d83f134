#include "template/loop.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

bool is_iterable(const Value& value) noexcept {
  switch (value.kind) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
    case Kind::iterator:
    case Kind::loop: return true;
    default: return false;
  }
}

Cursor::Cursor(Runtime& rt, const Value& source) : source_(source) {
  switch (source.kind) {
    case Kind::undefined:
    case Kind::iterator:
    case Kind::loop: return;
    case Kind::string: return;
    case Kind::list:
    case Kind::tuple: (void)items_of(rt, *source.list); return;
    case Kind::dict: size_ = entries_of(rt, *source.dict).size(); return;
    case Kind::view: size_ = entries_of(rt, *source.view->dict).size(); return;
    case Kind::range: size_ = usize(source.range->length()); return;
    default: fail("'" + std::string(type_name(source)) + "' object is not iterable");
  }
}

bool Cursor::next(Runtime& rt, Value& out) {
  rt.charge(1);
  switch (source_.kind) {
    case Kind::list:
    case Kind::tuple:
      if (at_ >= source_.list->items.size()) {
        return false;
      }
      out = source_.list->items[at_++];
      return true;
    case Kind::string: {
      if (at_ >= source_.string->size) {
        return false;
      }
      const std::size_t start = at_;
      (void)next_char(source_.text(), at_);
      out = rt.keep(source_.text().substr(start, at_ - start));
      return true;
    }
    case Kind::dict:
    case Kind::view: {
      Dict& dict = source_.kind == Kind::dict ? *source_.dict : *source_.view->dict;
      if (dict.entries.size() != size_) {
        fail("dictionary changed size during iteration");
      }
      if (at_ >= size_) {
        return false;
      }
      const Entry& entry = dict.entries[at_++];
      const View::What what = source_.kind == Kind::dict ? View::What::keys : source_.view->what;
      out = what == View::What::keys ? entry.key : what == View::What::values ? entry.value : rt.pair(entry.key, entry.value);
      return true;
    }
    case Kind::range:
      if (at_ >= size_) {
        return false;
      }
      out = Value::of(static_cast<std::int64_t>(static_cast<std::uint64_t>(source_.range->start) +
                                                at_ * static_cast<std::uint64_t>(source_.range->step)));
      ++at_;
      return true;
    case Kind::iterator: return source_.iterator->next(rt, out);
    case Kind::loop: return next_of_loop(rt, *source_.loop, out);
    default: return false;
  }
}

List* to_list(Runtime& rt, const Value& value) {
  List* list = rt.make_list();
  Cursor cursor(rt, value);
  for (Value item; cursor.next(rt, item);) {
    list->items.push(rt.memory, item);
  }
  return list;
}

}  // namespace loquat::tmpl

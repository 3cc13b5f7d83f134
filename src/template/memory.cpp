#include "template/memory.h"

#include <algorithm>

namespace loquat::tmpl {

void fail(const std::string& message) { throw Failure(message); }

void Memory::fail_limit() const { fail("the template needs too much memory"); }

char* Memory::allocate_block(std::size_t bytes) {
  check(bytes);
  std::size_t size = std::min(next_block_, limit_ - used_);
  const bool own_block = bytes > size / 4;
  if (own_block) {
    size = bytes;
  }
  auto block = std::make_unique_for_overwrite<char[]>(size);
  char* place = block.get();
  blocks_.push_back(std::move(block));
  used_ += size;
  if (!own_block || size <= next_block_) {
    cursor_ = place + bytes;
    end_ = place + size;
    next_block_ = std::min<std::size_t>(next_block_ * 2, 256 * 1024);
  }
  return place;
}

void Builder::grow(std::size_t more) {
  memory_.check(more);
  const std::size_t wanted = std::max(size_ + more, std::max<std::size_t>(64, capacity_ * 2));
  if (data_ != nullptr && memory_.extend(data_, capacity_, wanted)) {
    capacity_ = wanted;
    return;
  }
  char* grown = memory_.allocate(wanted);
  if (size_ != 0) {
    std::memcpy(grown, data_, size_);
  }
  data_ = grown;
  capacity_ = wanted;
}

}  // namespace loquat::tmpl

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Memory of one rendering, or of one compiled template: handed out from blocks, given back all at once, never more than a limit.
namespace loquat::tmpl {

/// Ends a compilation or a rendering; becomes an Error(invalid) with the line at the public interface.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string& message);

[[nodiscard]] constexpr std::size_t usize(std::int64_t value) noexcept { return static_cast<std::size_t>(value); }
[[nodiscard]] constexpr std::int64_t ssize(std::size_t value) noexcept { return static_cast<std::int64_t>(value); }

class Memory {
 public:
  /// `limit` in bytes; allocate() throws Failure beyond it.
  explicit Memory(std::size_t limit) noexcept : limit_(limit) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] char* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 7) & ~std::size_t{7};
    if (rounded > static_cast<std::size_t>(end_ - cursor_)) {
      return allocate_block(rounded);
    }
    char* place = cursor_;
    cursor_ += rounded;
    return place;
  }

  /// Grows what was allocated last without moving it; false when something else came after it or the block is full.
  [[nodiscard]] bool extend(const char* place, std::size_t old_bytes, std::size_t new_bytes) noexcept {
    const std::size_t old_rounded = (old_bytes + 7) & ~std::size_t{7};
    const std::size_t more = ((new_bytes + 7) & ~std::size_t{7}) - old_rounded;
    if (place + old_rounded != cursor_ || more > static_cast<std::size_t>(end_ - cursor_)) {
      return false;
    }
    cursor_ += more;
    return true;
  }

  template <class T, class... A>
  [[nodiscard]] T* make(A&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T>, "nothing here is ever destroyed");
    static_assert(alignof(T) <= 8);
    return new (allocate(sizeof(T))) T{std::forward<A>(arguments)...};
  }

  template <class T>
  [[nodiscard]] T* make_array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    constexpr std::size_t item_size = sizeof(T);  // NOLINT(bugprone-sizeof-expression): pointers are meant
    if (count > limit_ / item_size) {
      fail_limit();
    }
    T* items = reinterpret_cast<T*>(allocate(count * item_size));
    for (std::size_t i = 0; i < count; ++i) {
      new (items + i) T{};
    }
    return items;
  }

  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) {
      return {};
    }
    char* place = allocate(text.size());
    std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
  }

  /// Throws Failure when `bytes` more would not fit: asked before a temporary of that size is made elsewhere.
  void check(std::size_t bytes) const {
    if (bytes > limit_ - used_) {
      fail_limit();
    }
  }

 private:
  [[nodiscard]] char* allocate_block(std::size_t bytes);
  [[noreturn]] void fail_limit() const;

  static constexpr std::size_t first_block = 4096;

  alignas(8) char first_[first_block];
  char* cursor_ = first_;
  char* end_ = first_ + first_block;
  std::size_t used_ = 0;
  std::size_t limit_;
  std::size_t next_block_ = 16 * 1024;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

/// A growing array of trivial values in Memory.
template <class T>
class Vec {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] T& back() noexcept { return data_[size_ - 1]; }
  void clear() noexcept { size_ = 0; }
  void pop_back() noexcept { --size_; }

  void reserve(Memory& memory, std::size_t count) {
    if (count <= capacity_) {
      return;
    }
    memory.check(count * sizeof(T));
    if (data_ != nullptr && memory.extend(reinterpret_cast<char*>(data_), capacity_ * sizeof(T), count * sizeof(T))) {
      capacity_ = count;
      return;
    }
    T* grown = reinterpret_cast<T*>(memory.allocate(count * sizeof(T)));
    if (size_ != 0) {
      std::memcpy(static_cast<void*>(grown), data_, size_ * sizeof(T));
    }
    data_ = grown;
    capacity_ = count;
  }
  void push(Memory& memory, const T& item) {
    const T copy = item;
    if (size_ == capacity_) {
      reserve(memory, capacity_ == 0 ? 4 : capacity_ * 2);
    }
    data_[size_++] = copy;
  }
  void insert(Memory& memory, std::size_t at, const T& item) {
    push(memory, item);
    for (std::size_t i = size_ - 1; i > at; --i) {
      std::swap(data_[i], data_[i - 1]);
    }
  }
  void erase(std::size_t at) noexcept {
    std::memmove(static_cast<void*>(data_ + at), data_ + at + 1, (size_ - at - 1) * sizeof(T));
    --size_;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// Text under construction in Memory.
class Builder {
 public:
  explicit Builder(Memory& memory) noexcept : memory_(memory) {}

  void append(std::string_view text) {
    if (text.empty()) {
      return;
    }
    if (text.size() > capacity_ - size_) {
      grow(text.size());
    }
    std::memcpy(data_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void append(char c) {
    if (size_ == capacity_) {
      grow(1);
    }
    data_[size_++] = c;
  }
  void append(std::size_t count, char c) {
    if (count > capacity_ - size_) {
      grow(count);
    }
    if (count != 0) {
      std::memset(data_ + size_, c, count);
    }
    size_ += count;
  }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void truncate(std::size_t size) noexcept { size_ = size; }
  [[nodiscard]] Memory& memory() noexcept { return memory_; }

 private:
  void grow(std::size_t more);

  Memory& memory_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace loquat::tmpl

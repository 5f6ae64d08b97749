// A value for each descriptor: descriptors are small numbers, so a vector holds them.
#ifndef ASYNCHIA_BY_DESCRIPTOR_H_
#define ASYNCHIA_BY_DESCRIPTOR_H_

#include <cstddef>
#include <vector>

namespace asynchia {

template <typename T>
class ByDescriptor {
 public:
  // T{} if none was set, or `fd` is no descriptor.
  T Get(int fd) const {
    const auto index = static_cast<size_t>(fd);
    return fd >= 0 && index < values_.size() ? T{values_[index]} : T{};
  }

  void Set(int fd, T value) {
    const auto index = static_cast<size_t>(fd);
    if (index >= values_.size()) values_.resize(index + kGrowth);
    values_[index] = value;
  }

  void Clear(int fd) {
    const auto index = static_cast<size_t>(fd);
    if (fd >= 0 && index < values_.size()) values_[index] = T{};
  }

  // One more than the highest descriptor that may have a value.
  int End() const { return static_cast<int>(values_.size()); }

 private:
  static constexpr size_t kGrowth = 64;

  std::vector<T> values_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_BY_DESCRIPTOR_H_

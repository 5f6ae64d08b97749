// select(2), for descriptors of any number.
//
// select reports only "read", "write" and "except". One poll(2) that does not wait, over what it
// reported, completes the bits for the whole batch.
#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "../by_descriptor.h"
#include "backend.h"

namespace asynchia {
namespace {

class SelectBackend final : public Backend {
 public:
  int Add(int fd, int mask) override {
    if (!IsOpen(fd)) return -EBADF;
    if (masks_.Get(fd) != 0) return -EEXIST;
    Grow(fd);
    Set(fd, mask);
    return 0;
  }

  int Modify(int fd, int mask) override {
    if (masks_.Get(fd) == 0) return -ENOENT;
    Set(fd, mask);
    return 0;
  }

  int Remove(int fd) override {
    if (masks_.Get(fd) == 0) return -ENOENT;
    Set(fd, 0);
    return 0;
  }

  int Wait(double timeout_ms, Ready* ready) override {
    const Deadline deadline(timeout_ms);
    for (;;) {
      int count = SelectUntil(words_, wanted_.data(), ready_.data(), deadline);
      // Some descriptor was closed under us, and select does not say which: poll(2) does.
      const bool is_guess = count == -EBADF;
      if (is_guess) {
        ready_ = wanted_;
        count = 1;
      }
      if (count < 0) return count;
      if (count == 0) return 0;
      Collect(ready->capacity - ready->count);
      const int completed = Complete(ready, is_guess);
      if (completed < 0) return completed;
      // What was muted is no event, and is no reason to wait less than was asked.
      if (completed > 0 || deadline.IsOver()) return 0;
    }
  }

  void Watch(std::vector<pollfd>* watched) const override {
    for (int fd = 0; fd < masks_.End(); fd++) {
      const int mask = masks_.Get(fd);
      if (mask != 0) watched->push_back({fd, static_cast<int16_t>(mask), 0});
    }
  }

  int WatchMask(int fd) const override { return masks_.Get(fd); }

 private:
  enum Kind { kRead, kWrite, kExcept };

  static SetWord BitOf(int fd) { return SetWord{1} << (fd % kSetWordBits); }

  SetWord& Word(std::vector<SetWord>* sets, Kind kind, int fd) const {
    const int index = kind * words_ + fd / kSetWordBits;
    return (*sets)[static_cast<size_t>(index)];
  }

  SetWord Union(const std::vector<SetWord>& sets, int word) const {
    const auto at = [&](int kind) {
      const int index = kind * words_ + word;
      return sets[static_cast<size_t>(index)];
    };
    return at(kRead) | at(kWrite) | at(kExcept);
  }

  // The three sets lie behind one another, so longer sets have to be laid anew.
  void Grow(int fd) {
    const int words = fd / kSetWordBits + 1;
    if (words <= words_) return;
    std::vector<SetWord> sets(3 * static_cast<size_t>(words));
    for (int kind = kRead; kind <= kExcept; kind++) {
      std::copy_n(wanted_.begin() + kind * words_, words_, sets.begin() + kind * words);
    }
    wanted_ = std::move(sets);
    ready_.resize(wanted_.size());
    words_ = words;
  }

  void Set(int fd, int mask) {
    const auto put = [&](Kind kind, bool is_in) {
      SetWord& word = Word(&wanted_, kind, fd);
      word = is_in ? word | BitOf(fd) : word & ~BitOf(fd);
    };
    // select reports the end of a stream as "read".
    put(kRead, (mask & (POLLIN | POLLRDHUP)) != 0);
    put(kWrite, (mask & POLLOUT) != 0);
    put(kExcept, (mask & POLLPRI) != 0);
    masks_.Set(fd, mask);
  }

  // Only the end was asked for, but bytes lie before it: "read" would be reported again and again.
  // Whoever reads them calls Modify, and the descriptor is looked at afresh.
  void Mute(int fd) { Word(&wanted_, kRead, fd) &= ~BitOf(fd); }

  bool IsReadable(int fd) { return (Word(&ready_, kRead, fd) & BitOf(fd)) != 0; }

  // What is in ready_, at most `most`, starting where the last batch ended.
  void Collect(int most) {
    reported_.clear();
    for (int i = 0; i < words_; i++) {
      next_word_ = next_word_ + 1 < words_ ? next_word_ + 1 : 0;
      for (SetWord bits = Union(ready_, next_word_); bits != 0; bits &= bits - 1) {
        if (static_cast<int>(reported_.size()) == most) {
          // The rest of this word comes first in the next batch.
          next_word_ = (next_word_ + words_ - 1) % words_;
          return;
        }
        const int fd = next_word_ * kSetWordBits + __builtin_ctzl(bits);
        reported_.push_back({fd, static_cast<int16_t>(masks_.Get(fd)), 0});
      }
    }
  }

  // Completes what was collected with one poll(2). Returns how many events that makes.
  int Complete(Ready* ready, bool is_guess) {
    const int count = PollUntil(reported_.data(), reported_.size(), Deadline(0));
    if (count < 0) return count;
    for (const pollfd& entry : reported_) {
      if (entry.revents != 0) {
        ready->Push(entry.fd, entry.revents);
      } else if (!is_guess && (entry.events & POLLIN) == 0 && IsReadable(entry.fd)) {
        Mute(entry.fd);
      }
    }
    return count;
  }

  int words_ = 0;                // of each set
  std::vector<SetWord> wanted_;  // read, write, except
  std::vector<SetWord> ready_;
  ByDescriptor<int> masks_;  // 0: not registered
  std::vector<pollfd> reported_;
  int next_word_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeSelectBackend() { return std::make_unique<SelectBackend>(); }

}  // namespace asynchia

#include "stepper/streams.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace elman {
namespace {

constexpr Index line = 64;               // bytes per cache line
constexpr Index chunk_bytes = 1 << 21;   // a huge page
constexpr std::size_t ahead = 4;         // rows
constexpr Index most_prefetched = 4096;  // bytes

void prefetch(const char* record, Index bytes) {
  for (Index at = 0; at < std::min(bytes, most_prefetched); at += line) __builtin_prefetch(record + at, 1);
}

std::string text(Index number) { return std::to_string(number); }

}  // namespace

Streams::Streams(const Stepper& stepper, Index capacity) : capacity_(capacity) {
  for (const Leaf& leaf : stepper.state) {
    offsets_.push_back(record_bytes_);
    record_bytes_ += (leaf.bytes + 7) / 8 * 8;
  }
  record_bytes_ = std::max<Index>((record_bytes_ + line - 1) / line * line, line);
  chunk_ = static_cast<std::size_t>(std::max<Index>(std::min(chunk_bytes / record_bytes_, capacity), 1));
  initial_.resize(static_cast<std::size_t>(record_bytes_));
  for (std::size_t i = 0; i < offsets_.size(); ++i)
    std::memcpy(initial_.data() + offsets_[i], stepper.state[i].data, static_cast<std::size_t>(stepper.state[i].bytes));
}

char* Streams::address(std::size_t index) const {
  return reinterpret_cast<char*>(chunks_[index / chunk_].data()) + index % chunk_ * initial_.size();
}

Index Streams::open() {
  if (count_ == capacity_)
    throw std::invalid_argument("Streams.open: expected at most " + text(capacity_) +
                                " open streams, its capacity, got one more; close some, or make a larger pool.");
  if (free_.empty()) {
    const std::size_t index = entries_.size();
    if (index == chunks_.size() * chunk_) chunks_.emplace_back(chunk_ * initial_.size() / sizeof(float));
    entries_.push_back({static_cast<Index>(index) - capacity_, Use::closed});
    free_.reserve(entries_.capacity());
    free_.push_back(index);
  }
  const std::size_t index = free_.back();
  free_.pop_back();
  Entry& entry = entries_[index];
  entry = {entry.slot + capacity_, Use::open};
  std::memcpy(address(index), initial_.data(), initial_.size());
  ++count_;
  return entry.slot;
}

void Streams::close(Index slot) {
  const std::size_t index = find(slot, "close");
  entries_[index].use = Use::closed;
  free_.push_back(index);  // which has room for all indices
  --count_;
}

std::size_t Streams::find(Index slot, const char* where, const Index* earlier, Index rows) const {
  const auto refuse = [&](const std::string& expected, const std::string& got) {
    throw std::invalid_argument("Streams." + std::string(where) + ": expected " + expected + ", got " + text(slot) +
                                got);
  };
  const auto index = static_cast<std::size_t>(std::max<Index>(slot, 0) % capacity_);
  if (slot < 0 || index >= entries_.size() || slot != entries_[index].slot || entries_[index].use == Use::closed)
    refuse("the slot of an open stream", ", which is closed or was never opened.");
  if (entries_[index].use == Use::stepping) {
    const Index first = std::find(earlier, earlier + rows, slot) - earlier;
    if (first == rows) refuse("a stream that is in no other step", "; wait until that step returns.");
    refuse("each slot once", " at rows " + text(first) + " and " + text(rows) + "; step that stream twice.");
  }
  return index;
}

Streams::Round::Round(Streams& streams, const Index* slots, Index rows) : streams_(streams) {
  rows_.reserve(static_cast<std::size_t>(rows));
  try {
    for (Index row = 0; row < rows; ++row) {
      const std::size_t index = streams.find(slots[row], "step", slots, row);
      streams.entries_[index].use = Use::stepping;
      rows_.push_back({index, streams.address(index)});
    }
  } catch (...) {
    release();
    throw;
  }
}

void Streams::Round::release() {
  for (const Row& row : rows_) streams_.entries_[row.index].use = Use::open;
}

void Streams::Round::run(Stepper& stepper, const void* x, void* y) {
  const auto state = [&](Index row, std::size_t leaf) {
    return rows_[static_cast<std::size_t>(row)].record + streams_.offsets_[leaf];
  };
  const auto before = [&](Index row, std::size_t leaf) {
    if (const auto next = static_cast<std::size_t>(row) + ahead; leaf == 0 && next < rows_.size())
      prefetch(rows_[next].record, streams_.record_bytes_);
    return state(row, leaf);
  };
  stepper.step(static_cast<Index>(rows_.size()), x, y, before, state);
}

}  // namespace elman

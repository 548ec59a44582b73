// Which steps of a ragged batch are taken together: rows chained into lanes, lanes side by side in groups.
//
// A lane is a chain of rows, one after another, so that lanes are about equally long and a step of a group is rarely
// narrow. A group runs through all its steps on its own, a stretch of them a job; groups are what threads share.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/layer.hpp"

namespace elman {

struct Group {
  std::vector<Entry> entries;
  std::vector<Index> begin;  // [times + 1]
  Index chunk = 1;           // times of a job

  Lanes lanes() const { return {entries.data(), begin.data()}; }
  Index width() const { return begin[1]; }
  Index times() const { return static_cast<Index>(begin.size()) - 1; }
  Index jobs() const { return (times() + chunk - 1) / chunk; }
};

class Plan {
 public:
  // `offsets` [B + 1] of the rows; `threads` that shall have work.
  Plan(std::vector<Index> offsets, int threads);

  Ragged batch() const { return {offsets_.data(), static_cast<Index>(offsets_.size()) - 1}; }
  Index steps() const { return offsets_.back(); }
  const std::vector<Group>& groups() const { return groups_; }

 private:
  std::vector<Index> offsets_;
  std::vector<Group> groups_;
};

}  // namespace elman

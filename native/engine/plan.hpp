// Plan of the steps of a ragged batch that are computed together: rows are assigned to lanes, lanes to groups.
//
// A lane processes a list of rows one after another. Lanes are about equally long, so that most steps of a group use
// all its lanes. Each group runs through its steps independently, one job for some steps; threads share the groups.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/layer.hpp"

namespace elman {

struct Group {
  std::vector<Entry> entries;
  std::vector<Index> begin;  // [times + 1]
  Index chunk = 1;           // time steps per job

  Lanes lanes() const { return {entries.data(), begin.data()}; }
  Index width() const { return begin[1]; }
  Index times() const { return static_cast<Index>(begin.size()) - 1; }
  Index jobs() const { return (times() + chunk - 1) / chunk; }
};

class Plan {
 public:
  // `offsets` [B + 1] of the rows; `threads` to plan for.
  Plan(std::vector<Index> offsets, int threads);

  Ragged batch() const { return {offsets_.data(), static_cast<Index>(offsets_.size()) - 1}; }
  Index steps() const { return offsets_.back(); }
  const std::vector<Group>& groups() const { return groups_; }

 private:
  std::vector<Index> offsets_;
  std::vector<Group> groups_;
};

}  // namespace elman

#include "engine/plan.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

namespace elman {
namespace {

using RowList = std::vector<Index>;  // the rows of a lane, in order

constexpr Index chunk_rows = 192;  // approximate entries per job, so that its gates stay in the cache
constexpr Index few_lanes = 6;     // lanes per thread that fill the tiles

// Assigns rows to lanes: the longest row first, each to the lane with the fewest steps. Returns the longest lane first.
std::vector<RowList> assign(const Ragged& batch, const std::vector<Index>& rows, Index lanes) {
  using Load = std::pair<Index, std::size_t>;  // steps so far, lane
  std::priority_queue<Load, std::vector<Load>, std::greater<>> lightest;
  std::vector<RowList> lists(static_cast<std::size_t>(lanes));
  std::vector<Index> steps(lists.size(), 0);
  for (std::size_t lane = 0; lane < lists.size(); ++lane) lightest.push({0, lane});
  for (const Index row : rows) {
    const std::size_t lane = lightest.top().second;
    lightest.pop();
    lists[lane].push_back(row);
    steps[lane] += batch.end(row) - batch.begin(row);
    lightest.push({steps[lane], lane});
  }
  std::vector<std::size_t> order(lists.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return steps[a] > steps[b]; });
  std::vector<RowList> sorted;
  for (const std::size_t lane : order) sorted.push_back(std::move(lists[lane]));
  return sorted;
}

Group grouped(const Ragged& batch, const RowList* lanes, std::size_t count) {
  struct Cursor {
    std::size_t place = 0;
    Index time = 0;
  };
  Group group;
  group.begin.push_back(0);
  std::vector<Cursor> cursors(count);
  for (std::size_t alive = count; alive > 0;) {
    for (std::size_t lane = 0; lane < alive; ++lane) {
      auto& [place, time] = cursors[lane];
      const Index row = lanes[lane][place];
      group.entries.push_back({row, time});
      if (++time == batch.end(row) - batch.begin(row)) ++place, time = 0;
    }
    group.begin.push_back(static_cast<Index>(group.entries.size()));
    while (alive > 0 && cursors[alive - 1].place == lanes[alive - 1].size()) --alive;
  }
  group.chunk = std::clamp<Index>(chunk_rows / static_cast<Index>(count), 8, 64);
  return group;
}

}  // namespace

Plan::Plan(std::vector<Index> offsets, int threads) : offsets_(std::move(offsets)) {
  const Ragged batch = this->batch();
  const auto length = [&](Index row) { return batch.end(row) - batch.begin(row); };
  std::vector<Index> rows;
  for (Index row = 0; row < batch.rows; ++row)
    if (length(row) > 0) rows.push_back(row);
  if (rows.empty()) return;
  std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) { return length(a) > length(b); });

  // The longest row sets the length of a lane; where this gives few lanes, more are added to fill the tiles.
  const Index longest = length(rows[0]), all = static_cast<Index>(rows.size());
  const Index lanes = std::min(all, std::max((steps() + longest - 1) / longest, few_lanes * threads));
  const std::vector<RowList> lists = assign(batch, rows, lanes);
  Index groups = (lanes + Lanes::widest - 1) / Lanes::widest;
  groups = std::min((groups + threads - 1) / threads * threads, (lanes + 2) / 3);
  for (Index g = 0; g < groups; ++g) {
    const Index from = lanes * g / groups, to = lanes * (g + 1) / groups;
    groups_.push_back(grouped(batch, &lists[static_cast<std::size_t>(from)], static_cast<std::size_t>(to - from)));
  }
}

}  // namespace elman

// States of many streams that take turns in the arrays of steppers.
//
// A stream is one record: the leaves of its state one after another, aligned to cache lines. Records are allocated in
// chunks and never move, so that rounds of other streams may run meanwhile.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/memory.hpp"
#include "stepper/stepper.hpp"

namespace elman {

class Streams {
 public:
  // `stepper`: its first row has the initial state.
  Streams(const Stepper& stepper, Index capacity);
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  Index capacity() const { return capacity_; }
  Index count() const { return count_; }  // open streams
  Index record_bytes() const { return record_bytes_; }
  const std::vector<Index>& offsets() const { return offsets_; }  // of the leaves in a record

  // A slot is a number that no later stream gets: the k-th stream of record i has the slot i + k * capacity.
  Index open();            // throws if there are `capacity` open streams
  void close(Index slot);  // throws as `record` does

  // The record of a stream, for the function that an error names. Throws unless it is open and in no round.
  char* record(Index slot, const char* where) const { return address(find(slot, where)); }

  // A round: one step of some streams, each at most once. Only `run` may be called while other threads open or close
  // streams, or run other rounds.
  class Round {
   public:
    Round(Streams&, const Index* slots, Index rows);  // throws if a slot is not open, twice here, or in another round
    ~Round() { release(); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

    void run(Stepper&, const void* x, void* y);  // throws WrongRow; then no stream has changed
    Index slot(Index row) const { return streams_.entries_[rows_[static_cast<std::size_t>(row)].index].slot; }

   private:
    struct Row {
      std::size_t index;
      char* record;
    };

    void release();

    Streams& streams_;
    std::vector<Row> rows_;
  };

 private:
  enum class Use : char { closed, open, stepping };

  struct Entry {
    Index slot;
    Use use;
  };

  // Index of an open stream that no round is stepping, or else throws; `earlier`: slots of the same round.
  std::size_t find(Index slot, const char* where, const Index* earlier = nullptr, Index rows = 0) const;
  char* address(std::size_t index) const;

  Index capacity_, count_ = 0, record_bytes_ = 0;
  std::size_t chunk_ = 1;  // records per chunk
  std::vector<Index> offsets_;
  std::vector<char> initial_;  // record
  std::vector<Memory> chunks_;
  std::vector<Entry> entries_;     // by index
  std::vector<std::size_t> free_;  // indices of closed streams
};

}  // namespace elman

// What the core knows of effects: which calls that change the world were made, what came of them, and what a run that
// fails has to undo.
//
//   intent ──► result: equal calls get it ──► undoable ──► undone, the last first
//          ├─► nothing was done: an equal call leaves under the next key
//          └─► abandoned in doubt: an equal call does not leave
//
// Invariants:
//  1. A call is known by its identity (call_identity), in which there is no attempt and no position: what is recorded
//     of it holds for every equal call of its step instance, those of later attempts too.
//  2. An idempotency key belongs to an identity and a generation. The generation only rises: where no effect stands
//     under the key (nothing was done, it was undone, or somebody gave it up), where the tool is repeatable, and where
//     a fork's source had gone further.
//  3. A key that a workflow forms itself stands for one payload.
//  4. Undo takes the last effect first, and one at a time.
//  5. In a fork that does not allow effects a call is held back until somebody approves it.
//
// A value, and part of a snapshot. It reads no content and no workflow, and decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/time.h"
#include "weft/v1/event.pb.h"

namespace weft::run {

// H(lineage, path, tool, arguments), in hex. `path` is that of the step instance, without attempts; `arguments` are
// canonical, their members sorted. It is the key of the first generation.
std::string call_identity(std::string_view lineage, std::string_view path, std::string_view tool,
                          std::string_view arguments);

// What equal calls of one step instance have done.
struct EffectHistory {
  std::uint32_t generation = 0;         // Of their key.
  std::int64_t first_sent_us = 0;       // With the key of this generation; 0: not yet.
  std::optional<v1::Content> recorded;  // The result that stands.
  bool abandoned = false;               // In doubt for good.
  bool key_burnt = false;               // No effect stands under one of their keys.
};

// A call that was done and names an `undo`.
struct Undoable {
  std::string path;  // Of the call.
  std::string tool;
  std::string identity;
  std::string key;
  v1::Content arguments;
  v1::Content output;

  std::string undo_path() const { return path + "/undo"; }  // Of the step that undoes it.
};

class EffectLedger {
 public:
  // The key under which the next call with this identity leaves: that of the generation that stands.
  std::string key_of(const std::string& identity) const;
  // Whether the receiver still knows that key: it was first sent no longer ago than `key_ttl`, or never.
  bool is_key_known(const std::string& identity, std::int64_t now_us, Duration key_ttl) const;
  // Whether a key that the workflow forms stands for another payload.
  bool is_key_of_another(const std::string& key, std::uint64_t payload) const;
  void take_key(const std::string& key, std::uint64_t payload);

  enum class Where : std::uint8_t { kSteps, kFinally };
  void record_intent(const std::string& identity, std::int64_t at_us, Where where);
  // It was done: equal calls get this result and do not leave.
  void record_result(const std::string& identity, const v1::Content& output);
  // It was done, and may be done again: its tool is repeatable.
  void begin_next_generation(const std::string& identity);
  // No effect stands under its key: the next equal call needs another one.
  void burn_key(const std::string& identity);
  // Whether it was done is not known, and nobody waits to know: equal calls do not leave.
  void abandon(const std::string& identity);
  const v1::Content* result_of(const std::string& identity) const;  // Null: none stands.
  bool is_abandoned(const std::string& identity) const;

  void add_undoable(Undoable done);
  const Undoable* next_undo() const;  // Null: nothing is to be undone.
  // How the undo of next_undo() ended, which goes off the list. REQUIRES: next_undo().
  void end_undo(const v1::StepResult& result);
  // A kill ends it while its call is under way, so it may be undone. REQUIRES: next_undo().
  void cut_off_undo();
  std::uint32_t undos_failed() const { return undos_failed_; }
  // Path of the first call that was undone, or may have been; empty: none.
  const std::string& undone() const { return undone_; }

  // A retry of the run makes the calls of `finally` anew, under other keys.
  void renew_finally();
  // What the source has approved and what it has to undo stays the source's; its results stand.
  void begin_fork(v1::ForkEffects effects);
  // The generation that equal calls had reached in the source, where no effect stands under an earlier key.
  void take_generation(const v1::KeyGeneration& source);
  std::vector<v1::KeyGeneration> generations() const;  // The same, for a fork of this run.
  void approve(const std::string& identity);
  bool is_held_back(const std::string& identity) const;
  bool asks_before_effects() const { return fork_effects_ == v1::FORK_EFFECTS_ASK; }

  // For snapshots: all parts, in the order in which they are written.
  auto parts() {
    return std::tie(histories_, of_finally_, payloads_, undoable_, undos_failed_, undone_, fork_effects_, approved_);
  }

 private:
  const EffectHistory* history_of(const std::string& identity) const;

  std::map<std::string, EffectHistory> histories_;  // By identity.
  std::set<std::string> of_finally_;                // Identities of calls that `finally` made.
  std::map<std::string, std::uint64_t> payloads_;   // By key, of those that a workflow forms.
  std::vector<Undoable> undoable_;                  // In the order in which they were done.
  std::uint32_t undos_failed_ = 0;
  std::string undone_;
  v1::ForkEffects fork_effects_ = v1::FORK_EFFECTS_ALLOW;
  std::set<std::string> approved_;  // Identities.
};

}  // namespace weft::run

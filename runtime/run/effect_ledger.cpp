#include "runtime/run/effect_ledger.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"

namespace weft::run {

// Lengths keep the parts apart.
std::string call_identity(std::string_view lineage, std::string_view path, std::string_view tool,
                          std::string_view arguments) {
  const std::string text = fmt::format("{}:{}{}:{}{}:{}{}:{}0", lineage.size(), lineage, path.size(), path, tool.size(),
                                       tool, arguments.size(), arguments);
  return to_hex(view(sha256(text)).substr(0, 16));
}

const EffectHistory* EffectLedger::history_of(const std::string& identity) const {
  const auto found = histories_.find(identity);
  return found == histories_.end() ? nullptr : &found->second;
}

std::string EffectLedger::key_of(const std::string& identity) const {
  const EffectHistory* history = history_of(identity);
  if (history == nullptr || history->generation == 0) return identity;
  return to_hex(view(sha256(fmt::format("{}:{}", identity, history->generation))).substr(0, 16));
}

bool EffectLedger::is_key_known(const std::string& identity, std::int64_t now_us, Duration key_ttl) const {
  const EffectHistory* history = history_of(identity);
  return history == nullptr || now_us - history->first_sent_us <= key_ttl.count();
}

bool EffectLedger::is_key_of_another(const std::string& key, std::uint64_t payload) const {
  const auto found = payloads_.find(key);
  return found != payloads_.end() && found->second != payload;
}

void EffectLedger::take_key(const std::string& key, std::uint64_t payload) { payloads_[key] = payload; }

void EffectLedger::record_intent(const std::string& identity, std::int64_t at_us, Where where) {
  EffectHistory& history = histories_[identity];
  if (history.first_sent_us == 0) history.first_sent_us = at_us;
  if (where == Where::kFinally) of_finally_.insert(identity);
}

void EffectLedger::record_result(const std::string& identity, const v1::Content& output) {
  histories_[identity].recorded = output;
}

void EffectLedger::begin_next_generation(const std::string& identity) {
  EffectHistory& history = histories_[identity];
  history = {history.generation + 1, 0, std::nullopt, false, history.key_burnt};
}

void EffectLedger::burn_key(const std::string& identity) {
  EffectHistory& history = histories_[identity];
  history = {history.generation + 1, 0, std::nullopt, false, true};
}

void EffectLedger::abandon(const std::string& identity) { histories_[identity].abandoned = true; }

const v1::Content* EffectLedger::result_of(const std::string& identity) const {
  const EffectHistory* history = history_of(identity);
  return history == nullptr || !history->recorded ? nullptr : &*history->recorded;
}

bool EffectLedger::is_abandoned(const std::string& identity) const {
  const EffectHistory* history = history_of(identity);
  return history != nullptr && history->abandoned;
}

void EffectLedger::add_undoable(Undoable done) { undoable_.push_back(std::move(done)); }

const Undoable* EffectLedger::next_undo() const { return undoable_.empty() ? nullptr : &undoable_.back(); }

void EffectLedger::end_undo(const v1::StepResult& result) {
  WEFT_CHECK(!undoable_.empty(), "nothing is to be undone");
  const bool failed = result.status() == v1::STEP_STATUS_FAILED;
  undos_failed_ += failed;
  if (result.status() == v1::STEP_STATUS_SUCCEEDED) burn_key(undoable_.back().identity);
  // Skipped, or given up in doubt: it may have been undone.
  const bool stands = failed && result.failure().kind() != v1::ERROR_KIND_IN_DOUBT;
  if (!stands && undone_.empty()) undone_ = undoable_.back().path;
  undoable_.pop_back();
}

void EffectLedger::cut_off_undo() {
  WEFT_CHECK(!undoable_.empty(), "nothing is to be undone");
  if (undone_.empty()) undone_ = undoable_.back().path;
}

void EffectLedger::renew_finally() {
  for (const std::string& identity : of_finally_) burn_key(identity);
  of_finally_.clear();
}

void EffectLedger::begin_fork(v1::ForkEffects effects) {
  fork_effects_ = effects;
  approved_.clear();
  undoable_.clear();
}

void EffectLedger::take_generation(const v1::KeyGeneration& source) {
  EffectHistory& history = histories_[source.identity()];
  if (source.generation() <= history.generation) return;
  history.generation = source.generation();
  if (!history.recorded) history.first_sent_us = 0;
  history.key_burnt = true;
}

std::vector<v1::KeyGeneration> EffectLedger::generations() const {
  std::vector<v1::KeyGeneration> all;
  for (const auto& [identity, history] : histories_) {
    if (!history.key_burnt) continue;
    all.emplace_back().set_identity(identity);
    all.back().set_generation(history.generation);
  }
  return all;
}

void EffectLedger::approve(const std::string& identity) { approved_.insert(identity); }

bool EffectLedger::is_held_back(const std::string& identity) const {
  return fork_effects_ != v1::FORK_EFFECTS_ALLOW && !approved_.contains(identity);
}

}  // namespace weft::run

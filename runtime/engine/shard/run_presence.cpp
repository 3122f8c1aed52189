#include "runtime/engine/shard/run_presence.h"

#include <utility>

#include "base/check.h"
#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {

void RunPresence::when_here(Urgency urgency, Task task) {
  if (!is_away()) return task();
  if (urgency == Urgency::kUsual) return mail_.push_back(std::move(task));
  urgent_.push_back(std::move(task));
  if (is_lent()) return call_back();
  where_ = Where::kHere;  // Out of line.
  go_on();
}

void RunPresence::stand_in_line() {
  where_ = Where::kInLine;
  core_.line.stand(run_);
}

void RunPresence::take_stretch() {
  if (!is_in_line()) return;
  where_ = Where::kHere;
  go_on();
}

// REQUIRES: it is here. What is urgent, then what it has still to do, then its mail.
void RunPresence::go_on() {
  while (!run_.has_left() && !urgent_.empty()) {
    run_.driver.set_aside();
    Task urgent = std::move(urgent_.front());
    urgent_.pop_front();
    urgent();
  }
  if (!run_.has_left()) run_.driver.advance();
  deliver();
}

void RunPresence::deliver() {
  Stretch stretch(core_.world.clock, kStretch, kStretchStepsMax);
  while (!run_.has_left()) {
    if (mail_.empty()) return run_.rest.consider();
    Task task = std::move(mail_.front());
    mail_.pop_front();
    task();
    if (!run_.has_left() && !mail_.empty() && stretch.is_over()) return stand_in_line();
  }
}

void RunPresence::lend(First first, Task then) {
  auto loan = std::make_shared<Loan>();
  loan->first = std::move(first);
  loan->then = std::move(then);
  run_.rest.activate();
  where_ = Where::kLent;
  loan_ = loan;
  if (run_.recorder.gate().anyone_asks()) shown_ = run_.loaded().summary;
  core_.world.deciding.run([this, loan = std::move(loan)] {
    auto waits = Loan::State::kWaits;
    if (!loan->state.compare_exchange_strong(waits, Loan::State::kAtWork)) return;
    work(*loan);
    core_.loop.post(while_alive(run_, [this, loan] { come_back(loan); }));
  });
}

// On the pool. Nobody else touches what is the pool's of the run meanwhile, and the run stays where it is.
void RunPresence::work(Loan& loan) {
  const LoadedRun& loaded = run_.loaded();
  const auto mark = core_.world.at(loaded.id);
  if (loan.first) std::exchange(loan.first, nullptr)();
  loan.came = Came::kToNothing;
  if (loan.then || !loaded.begun || run_.resumption.pending() || run_.unread.keeps_from_deciding()) return;
  Stretch stretch(core_.world.clock, kLoanStretch, UINT32_MAX, &loan.stop);
  loan.came = run_.driver.decide_on_pool(stretch, loan.stop);
}

// One that still waits for a thread comes at once.
void RunPresence::call_back() {
  loan_->stop = true;
  auto waits = Loan::State::kWaits;
  if (!loan_->state.compare_exchange_strong(waits, Loan::State::kCalledBack)) return;
  run_.post([this, loan = loan_] { come_back(loan); });
}

void RunPresence::come_back(const std::shared_ptr<Loan>& loan) {
  WEFT_CHECK(loan_ == loan, "a run comes back that was not lent");
  where_ = Where::kHere;
  loan_.reset();
  shown_.reset();
  if (loan->first) {
    // It was called back before it was begun: it is lent again when what is urgent has been done.
    mail_.push_front(while_alive(run_, [this, loan] { lend(std::move(loan->first), std::move(loan->then)); }));
    return go_on();
  }
  if (std::exchange(retimes_, false) || !run_.queue.empty()) run_.timers.adjust_all();
  if (loan->then) {
    loan->then();
    if (run_.has_left()) return;
  }
  run_.unread.stop_if_noted();
  run_.driver.end_if_endless();
  if (!is_away() && loan->came == Came::kToMore && urgent_.empty()) {
    run_.flush();
    return lend();
  }
  go_on();
}

void RunPresence::stop() {
  if (loan_) loan_->stop = true;
}

void RunPresence::return_mail() {
  for (auto* mail : {&urgent_, &mail_}) {
    for (Task& task : std::exchange(*mail, {})) core_.loop.post(std::move(task));
  }
}

}  // namespace weft::engine

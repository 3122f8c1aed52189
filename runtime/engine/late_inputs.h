// Late inputs: answers to questions that are no longer open, and signals and cancels of runs that have ended. The
// response follows from the run's events, which may be many, so it is formed on a few threads of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>

#include "base/pool.h"
#include "base/result.h"
#include "memory/journal/journal.h"
#include "runtime/engine/api.h"

namespace weft::engine {

// Thread-safe. The reader and the queries outlive it.
class LateInputs {
 public:
  static constexpr std::size_t kThreads = 2;
  static constexpr std::size_t kLateReadsMax = 256;  // Waiting or under way; more are refused.

  LateInputs(const memory::Reader& reader, const history::Queries& queries) : reader_(reader), queries_(queries) {}
  // Look-ups in progress end soon; later ones are answered with UNAVAILABLE.
  void stop() { stopped_ = true; }

  // An equal answer is acknowledged again. ALREADY_EXISTS for a different one, OUT_OF_RANGE where the question had
  // expired, FAILED_PRECONDITION where it was closed otherwise, NOT_FOUND where it was never asked.
  void answer(const std::string& run_id, const v1::RunsAnswerRequest& request, Reply<v1::RunsAnswerResponse> reply);
  // A signal that the run has received is acknowledged again; another one is FAILED_PRECONDITION.
  void signal(const std::string& run_id, const v1::RunsSignalRequest& request, Reply<v1::RunsSignalResponse> reply);
  // Answers with the ended run. FAILED_PRECONDITION, with what it waits for, where it has not ended and is not served
  // here.
  void cancel(const std::string& run_id, Reply<v1::RunsCancelResponse> reply);

 private:
  template <class Response>
  void look_up(Reply<Response> reply, std::move_only_function<Result<Response>()> look);
  Result<v1::RunsAnswerResponse> past_answer(const std::string& run_id, const v1::RunsAnswerRequest& request) const;
  Result<v1::RunsSignalResponse> past_signal(const std::string& run_id, const v1::RunsSignalRequest& request) const;
  Result<v1::RunsCancelResponse> past_cancel(const std::string& run_id) const;
  Result<v1::Run> run(const std::string& run_id) const;
  Status each_event(const std::string& run_id, const std::function<Result<bool>(const v1::Event&)>& look) const;

  const memory::Reader& reader_;
  const history::Queries& queries_;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::size_t> reads_ = 0;
  Pool pool_{kThreads};  // Last: it uses the rest.
};

}  // namespace weft::engine

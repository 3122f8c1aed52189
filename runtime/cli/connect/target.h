// What a command talks to: a server, or a store at rest. Both answer alike; a store at rest refuses what needs an
// engine.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "base/result.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/engine/api.h"

namespace weft::cli {

enum class Go : std::uint8_t { kOn, kStop };
using OnMessage = std::function<Go(const v1::RunsWatchResponse& message)>;

// Whether the engine that has the run moves it.
inline bool is_under_way(v1::RunStatus status) {
  return status == v1::RUN_STATUS_QUEUED || status == v1::RUN_STATUS_RUNNING;
}

// Thread-safe. Calls block until they are answered.
class Target {
 public:
  virtual ~Target() = default;

  // One call, named as the server knows it, which gives the type of the answer: `call(&engine::Api::METHOD, request)`.
  // A store at rest answers what history::Queries does; anything else needs an engine: UNAVAILABLE.
  template <class Side, class Request, class Response, class... More>
  Result<Response> call(Result<Response> (Side::*method)(const Request&, More...) const, const Request& request) {
    if constexpr (std::is_same_v<Side, history::Queries>) {
      if (const history::Queries* store = at_rest()) return (store->*method)(request);
    }
    return answer_to<Response>(request);
  }
  template <class Side, class Request, class Response>
  Result<Response> call(void (Side::*)(const Request&, engine::Reply<Response>), const Request& request) {
    return answer_to<Response>(request);
  }

  // The run as it is when it has ended, needs somebody, or `timeout_ms` is over.
  virtual Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) = 0;
  // Calls `on_message` for each message, in order, until the run has ended, `on_message` says so, or interrupt().
  virtual Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) = 0;
  virtual Result<std::string> content(const std::string& run_id, const std::string& sha256) = 0;
  // Ends watch() from another thread: it returns CANCELLED.
  virtual void interrupt() = 0;

  // By id, by a unique beginning of one, or @latest.
  Result<v1::Run> find_run(const std::string& key);
  // Every event of a run, page by page.
  Status for_each_event(const std::string& run_id, std::uint64_t from_seq,
                        const std::function<void(const v1::Event& event)>& on_event);
  FetchContent fetch(const std::string& run_id);

 private:
  // Asks the method that takes such a request (runtime/server/rpc_path.h).
  virtual Status send(const google::protobuf::Message& request, google::protobuf::Message& response) = 0;
  virtual const history::Queries* at_rest() const { return nullptr; }  // Null: a server.

  template <class Response>
  Result<Response> answer_to(const google::protobuf::Message& request) {
    Response response;
    WEFT_RETURN_IF_ERROR(send(request, response));
    return response;
  }
};

// How long a call waits for its answer; waits and watches are not bounded by it.
enum class Patience : std::uint8_t {
  kUsual,  // A minute.
  kCare,   // Hours: a large store on a slow disk takes its time.
};
// Over gRPC: "unix:PATH" or "HOST:PORT", which takes a token. Connects with the first call.
std::unique_ptr<Target> connect(const std::string& address, const std::string& token = "",
                                Patience patience = Patience::kUsual);
// Says how a store comes to be.
Error no_store(const std::string& store);
// The store alone, read-only; takes no lock. NOT_FOUND where there is none.
Result<std::unique_ptr<Target>> open_archive(const std::string& store);

// The server that was named, or the engine that runs on the store; null where none does.
std::unique_ptr<Target> find_engine(const Place& place, Patience patience = Patience::kUsual);
// The same, or UNAVAILABLE with the sentence that starts an engine.
Result<std::unique_ptr<Target>> open_engine(const Place& place, Patience patience = Patience::kUsual);
// The same, or else the store at rest.
Result<std::unique_ptr<Target>> open_for_reading(const Place& place);

}  // namespace weft::cli

// What is outside of a server that is killed again and again, and outlives it: a shop that acts, a provider of models
// that counts, clients that ask until they are answered and remember what they were told; and the comparison of all of
// it with what the server recorded.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sim/provider.h"
#include "tests/folder.h"
#include "tests/shop.h"
#include "weft/v1/admin.pb.h"
#include "weft/v1/runs.grpc.pb.h"

namespace weft::crash {

// One order is one run of the workflow of this kind. All but the last four pay: one call of the tool named so.
enum class Kind : std::uint8_t {
  kWrite,
  kVerify,
  kIdempotent,
  kRetry,      // on_doubt: retry, with a key that the shop knows.
  kSkip,       // on_doubt: skip.
  kUndo,       // Charges, fails, and takes the charge back.
  kAgent,      // A model calls the idempotent tool.
  kCancelled,  // Pays, and is cancelled while it waits.
  kPeople,     // A question, a signal, a time.
  kLook,       // Reads alone.
  kChaff,      // A large value, to be pruned.
};
inline constexpr int kKinds = 11;

struct Order {
  Kind kind = Kind::kWrite;
  std::string name;
  std::string run_id;  // Once acknowledged, as everything below.
  bool answered = false;
  bool signalled = false;
  bool cancelled = false;
  int resolved = 0;   // Doubts about which somebody was asked.
  std::string fault;  // What a client was told that it should not have been; empty: nothing.
};

// What a round of orders came to. `faults` is empty where every promise was kept.
struct Findings {
  int runs = 0;
  int doubts = 0;      // That events show.
  int resolved = 0;    // Of these, by a person.
  int effects = 0;     // The shop's.
  int duplicates = 0;  // Of these, for an order that had its effect.
  int lost_calls = 0;  // Model calls that are booked as lost.
  std::vector<std::string> faults;
};

class Market {
 public:
  // Writes its workflows to `folder`, where a server is then started.
  explicit Market(const Folder& folder);

  std::map<std::string, std::string> variables() const { return {{"WEFT_SIM_URL", provider_->base_url()}}; }
  static std::vector<std::string> workflow_files();

  // Clients for one order of each kind, at work until all of them have ended, whatever happens to the server.
  void open(int round);
  std::vector<Order> close();
  // So many of them are acknowledged, and most of those have not ended; false where that takes too long.
  bool wait_until_acknowledged(int count) const;
  // From now on the first answer to each payment is lost.
  void lose_answers(bool lose) { loses_ = lose; }
  // Nothing that a dead server sent is still on its way.
  void wait_until_quiet() const;

  // The store's care, through the server; what became of it does not matter.
  void back_up(const std::string& to);
  void prune_chaff();

  // Compares, through a server that is up. Once for each order, after close().
  Findings check(const std::vector<Order>& orders);
  // The provider's own count against everything that was booked. Once, at the end; a sentence for each difference.
  std::vector<std::string> check_ledger();

 private:
  struct Booked {
    std::uint64_t hit = 0;
    std::uint64_t miss = 0;
    std::uint64_t out = 0;
  };
  struct Asked {
    int started = 0;
    int ended = 0;
    int failed = 0;
  };

  test::Shop::Answer serve(const test::Shop::Request& request);
  void serve_order(Order& order);
  void resolve(Order& order, const v1::Run& run);
  int acts(const std::string& path, const std::string& order) const;
  std::string wait_to_end(Order& order);

  // Asks until there is an answer other than that the server is not there; false: `order.fault` says why not.
  template <class Request, class Response>
  bool ask(Order& order, grpc::Status (v1::Runs::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
           const Request& request, Response& response, std::set<grpc::StatusCode> also = {});

  void check_run(const Order& order, const v1::Run& run, const std::vector<v1::Event>& events, Findings& findings);
  void check_models(const Order& order, const std::vector<v1::Event>& events, Findings& findings);
  void check_effects(const Order& order, const std::vector<v1::Event>& events, Findings& findings);
  bool events_of(const std::string& run_id, v1::Run& run, std::vector<v1::Event>& events);

  const Folder& folder_;
  std::unique_ptr<sim::Provider> provider_;
  std::shared_ptr<grpc::Channel> channel_;
  std::atomic<bool> loses_ = false;
  std::atomic<int> acknowledged_ = 0;  // Of the orders that are open.
  std::vector<Order> orders_;
  std::vector<std::thread> clients_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, std::map<std::string, int>> acts_;  // By path, by order.
  std::set<std::string> keys_;
  std::set<std::string> lost_once_;

  // The checks' own.
  std::map<std::string, Asked> asked_;    // By the request's SHA-256, in hex.
  std::map<std::string, Booked> booked_;  // By the provider's id of the request.
  int calls_booked_twice_ = 0;

  std::unique_ptr<test::Shop> shop_;  // Last: its threads use the others.
};

}  // namespace weft::crash

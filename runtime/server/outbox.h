// Answers on their way: an answer that its client does not read is dropped after a time, and what it held goes back.
// One thread looks, once in a while; it also asks the allocator to return what large messages left.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/time.h"
#include "runtime/server/held_bytes.h"

namespace weft::server {

// Thread-safe.
class Outbox {
 public:
  // `stall_max`: how long an answer may wait for its client.
  Outbox(HeldBytes& held, Duration stall_max);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // The call has its answer, and is there until remove().
  void add(grpc::CallbackServerContext* context);
  void remove(grpc::CallbackServerContext* context);

 private:
  void look();

  HeldBytes& held_;
  const Duration stall_max_;
  std::mutex mutex_;
  std::condition_variable woken_;
  std::map<grpc::CallbackServerContext*, Duration> since_;  // Guarded by mutex_.
  bool stopping_ = false;                                   // Guarded by mutex_.
  std::thread thread_;                                      // Last: it uses the rest.
};

}  // namespace weft::server

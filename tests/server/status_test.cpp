#include "runtime/server/status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <catch2/catch.hpp>

namespace weft::server {
namespace {

google::rpc::Status rich(const grpc::Status& status) {
  google::rpc::Status parsed;
  REQUIRE(parsed.ParseFromString(status.error_details()));
  return parsed;
}

template <class T>
T detail(const grpc::Status& status) {
  T found;
  const google::rpc::Status parsed = rich(status);
  for (const auto& any : parsed.details()) {
    if (any.UnpackTo(&found)) return found;
  }
  FAIL("no " << T::descriptor()->full_name());
  return found;
}

}  // namespace

TEST_CASE("an error keeps its code, sentence and facts over the wire") {
  const Error error = not_found("there is no run \"x\"").with("resource", "run").with("name", "x");
  const Error back = from_grpc(to_grpc(error));
  CHECK(back.code == Code::kNotFound);
  CHECK(back.message == error.message);
  CHECK(back.details == std::vector<Detail>{{"name", "x"}, {"resource", "run"}});
}

TEST_CASE("every error names its reason and whose it is") {
  const auto facts = detail<google::rpc::ErrorInfo>(to_grpc(aborted("stale")));
  CHECK(facts.reason() == "ABORTED");
  CHECK(facts.domain() == "weft");
  CHECK(detail<google::rpc::ErrorInfo>(to_grpc(aborted("stale").with("reason", "STALE_EPOCH"))).reason() ==
        "STALE_EPOCH");
}

TEST_CASE("places in a file become field violations, in their order, and come back") {
  const Error error = invalid_argument("2 errors").with("a:b.yaml:3:7", "unknown key").with("a:b.yaml:1:1", "too new");
  const auto places = detail<google::rpc::BadRequest>(to_grpc(error));
  REQUIRE(places.field_violations_size() == 2);
  CHECK(places.field_violations(0).field() == "a:b.yaml:3:7");
  CHECK(places.field_violations(0).description() == "unknown key");
  CHECK(from_grpc(to_grpc(error)).details == error.details);
  CHECK(detail<google::rpc::ErrorInfo>(to_grpc(error)).metadata().empty());
}

TEST_CASE("a reached limit says which, and when to try again") {
  const grpc::Status status = to_grpc(
      resource_exhausted("20000 runs are active").with("limit", "runs_active_max").with("retry_after_ms", "1500"));
  CHECK(detail<google::rpc::QuotaFailure>(status).violations(0).subject() == "runs_active_max");
  CHECK(detail<google::rpc::QuotaFailure>(status).violations(0).description() == "20000 runs are active");
  CHECK(detail<google::rpc::RetryInfo>(status).retry_delay().seconds() == 1);
  CHECK(detail<google::rpc::RetryInfo>(status).retry_delay().nanos() == 500'000'000);
}

TEST_CASE("what would not fit into a client's metadata is left out and counted") {
  Error error = invalid_argument(std::string(10'000, 'm'));
  for (int i = 0; i < 200; ++i) error = std::move(error).with("f.yaml:" + std::to_string(i + 1) + ":1", "some mistake");
  const grpc::Status status = to_grpc(error);
  CHECK(status.error_message().size() <= kErrorMessageBytesMax);
  CHECK(status.error_details().size() < 6'000);
  const auto facts = detail<google::rpc::ErrorInfo>(status);
  const int kept = detail<google::rpc::BadRequest>(status).field_violations_size();
  CHECK(facts.metadata().at("details_left_out") == std::to_string(200 - kept));
}

TEST_CASE("a status without details is still an error with its code") {
  const Error error = from_grpc({grpc::StatusCode::UNAVAILABLE, "failed to connect"});
  CHECK(error == unavailable("failed to connect"));
}

}  // namespace weft::server

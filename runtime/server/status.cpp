#include "runtime/server/status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <algorithm>
#include <charconv>

namespace weft::server {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "flow.yaml:3:7"
bool is_place(std::string_view key) {
  const std::size_t column = key.rfind(':');
  if (column == std::string_view::npos || column == 0) return false;
  const std::size_t line = key.rfind(':', column - 1);
  return line != std::string_view::npos && is_number(key.substr(column + 1)) &&
         is_number(key.substr(line + 1, column - line - 1));
}

// Cut at a whole character, marked.
std::string clipped(const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

struct Parts {
  google::rpc::ErrorInfo facts;
  google::rpc::BadRequest places;
  google::rpc::RetryInfo retry;
  google::rpc::QuotaFailure quota;
  bool has_retry = false;

  std::size_t bytes() const {
    return facts.ByteSizeLong() + places.ByteSizeLong() + retry.ByteSizeLong() + quota.ByteSizeLong();
  }
};

void add(const Detail& detail, const std::string& message, Parts& parts) {
  if (is_place(detail.key)) {
    auto* violation = parts.places.add_field_violations();
    violation->set_field(detail.key);
    violation->set_description(detail.value);
    return;
  }
  if (detail.key == "reason") {
    parts.facts.set_reason(detail.value);
    return;
  }
  (*parts.facts.mutable_metadata())[detail.key] = detail.value;
  if (detail.key == "limit") {
    auto* violation = parts.quota.add_violations();
    violation->set_subject(detail.value);
    violation->set_description(message);
  } else if (detail.key == "retry_after_ms" && is_number(detail.value) && detail.value.size() <= 15) {
    std::int64_t ms = 0;
    std::from_chars(detail.value.data(), detail.value.data() + detail.value.size(), ms);
    parts.retry.mutable_retry_delay()->set_seconds(ms / 1000);
    parts.retry.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(ms % 1000) * 1'000'000);
    parts.has_retry = true;
  }
}

}  // namespace

grpc::Status to_grpc(const Error& error) {
  const std::string message = clipped(error.message, kErrorMessageBytesMax);
  Parts parts;
  parts.facts.set_reason(std::string(code_name(error.code)));
  parts.facts.set_domain(std::string(kErrorDomain));
  std::size_t left_out = 0;
  for (const Detail& detail : error.details) {
    if (parts.bytes() + detail.key.size() + detail.value.size() > kErrorDetailsBytesMax) {
      ++left_out;
      continue;
    }
    add(detail, message, parts);
  }
  if (left_out > 0) (*parts.facts.mutable_metadata())["details_left_out"] = std::to_string(left_out);

  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(message);
  status.add_details()->PackFrom(parts.facts);
  if (parts.places.field_violations_size() > 0) status.add_details()->PackFrom(parts.places);
  if (parts.has_retry) status.add_details()->PackFrom(parts.retry);
  if (parts.quota.violations_size() > 0) status.add_details()->PackFrom(parts.quota);
  return {static_cast<grpc::StatusCode>(error.code), message, status.SerializeAsString()};
}

Error from_grpc(const grpc::Status& status) {
  const int code = status.error_code();
  Error error{code >= 1 && code <= 16 ? static_cast<Code>(code) : Code::kUnknown, status.error_message(), {}};
  google::rpc::Status rich;
  if (status.error_details().empty() || !rich.ParseFromString(status.error_details())) return error;
  for (const auto& any : rich.details()) {
    google::rpc::ErrorInfo facts;
    google::rpc::BadRequest places;
    if (any.UnpackTo(&facts)) {
      if (facts.reason() != code_name(error.code)) error.details.push_back({"reason", facts.reason()});
      // A map has no order; by key, the same error reads the same.
      std::vector<Detail> metadata;
      for (const auto& [key, value] : facts.metadata()) metadata.push_back({key, value});
      std::ranges::sort(metadata, {}, &Detail::key);
      error.details.insert(error.details.end(), metadata.begin(), metadata.end());
    } else if (any.UnpackTo(&places)) {
      for (const auto& violation : places.field_violations()) {
        error.details.push_back({violation.field(), violation.description()});
      }
    }
  }
  return error;
}

}  // namespace weft::server

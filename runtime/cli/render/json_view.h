// Messages as the JSON that programs read: the same keys everywhere, null for what is not known.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::cli {

// Finds the bytes of a content that is stored by its hash.
using FetchContent = std::function<Result<std::shared_ptr<const std::string>>(const v1::Blob& blob)>;

Result<std::string> content_bytes(const v1::Content& content, const FetchContent& fetch);

// RUN_STATUS_IN_DOUBT of the enumeration RunStatus is "in_doubt"; "" where it is unspecified.
std::string short_name(const google::protobuf::EnumDescriptor& type, int number);
std::string status_name(v1::RunStatus status);
std::optional<v1::RunStatus> status_named(std::string_view name);
std::string status_name(v1::StepStatus status);
std::string kind_name(v1::StepKind kind);
std::string failure_name(v1::ErrorKind kind);
std::string outcome_name(v1::ToolOutcome outcome);

// JSON where it is JSON, text where it is text, its hexadecimal digits in an object where it is neither.
enum class Holds : std::uint8_t { kJson, kText };
Json bytes_json(const std::string& bytes, Holds holds);

Json error_json(const Error& error);  // {"error": {code, message, details}}
// What `run`, `wait` and `submit --wait` print. `output` is null where there is none.
Result<Json> run_json(const v1::Run& run, const FetchContent& fetch);
Json run_row_json(const v1::Run& run);  // In a list: without output.
Json workflow_json(const v1::Workflow& workflow);
Json diagnostic_json(const v1::Diagnostic& diagnostic);
Json usage_json(const v1::Usage& usage);
Json cost_usd_json(const v1::Cost* cost);   // A decimal string, or null.
std::string time_text(std::int64_t at_us);  // RFC 3339, UTC.

// Indented by two, keys in their order, numbers as to_text writes them.
std::string pretty(const Json& value);

}  // namespace weft::cli

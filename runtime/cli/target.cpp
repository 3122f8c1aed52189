#include "runtime/cli/target.h"

#include <fmt/format.h>

namespace weft::cli {

Status Target::for_each_event(const std::string& run_id, std::uint64_t from_seq,
                              const std::function<void(const v1::Event& event)>& on_event) {
  v1::TracesGetRequest request;
  request.set_run_id(run_id);
  request.set_from_seq(from_seq);
  while (true) {
    WEFT_TRY(const v1::TracesGetResponse page, get_trace(request));
    for (const auto& event : page.events()) on_event(event);
    if (page.next_page_token().empty()) return {};
    request.set_page_token(page.next_page_token());
  }
}

FetchContent Target::fetch(const std::string& run_id) {
  return [this, run_id](const v1::Blob& blob) -> Result<std::shared_ptr<const std::string>> {
    WEFT_TRY(std::string bytes, content(run_id, blob.sha256()));
    return std::make_shared<const std::string>(std::move(bytes));
  };
}

Error no_store(const std::string& store) {
  return not_found(fmt::format("there is no store {}; `weft run FILE` makes one", store));
}

Result<std::unique_ptr<Target>> open_for_reading(const Place& place) {
  if (!place.server.empty()) return connect(place.server);
  if (engine_answers(place)) return connect("unix:" + place.socket);
  return open_archive(place.store);
}

Result<std::unique_ptr<Target>> open_engine(const Place& place) {
  if (!place.server.empty()) return connect(place.server);
  if (engine_answers(place)) return connect("unix:" + place.socket);
  return unavailable(fmt::format("no engine runs on {}; `weft serve` starts one", place.store));
}

}  // namespace weft::cli

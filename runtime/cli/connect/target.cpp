#include "runtime/cli/connect/target.h"

#include <fmt/format.h>

namespace weft::cli {

Result<v1::Run> Target::find_run(const std::string& key) {
  v1::RunsGetRequest request;
  request.set_run_id(key);
  WEFT_TRY(auto found, call(&engine::Api::get_run, request));
  return std::move(*found.mutable_run());
}

Status Target::for_each_event(const std::string& run_id, std::uint64_t from_seq,
                              const std::function<void(const v1::Event& event)>& on_event) {
  v1::TracesGetRequest request;
  request.set_run_id(run_id);
  request.set_from_seq(from_seq);
  while (true) {
    WEFT_TRY(const v1::TracesGetResponse page, call(&engine::Api::get_trace, request));
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

std::unique_ptr<Target> find_engine(const Place& place, Patience patience) {
  if (!place.server.empty()) return connect(place.server, place.token, patience);
  return engine_answers(place) ? connect("unix:" + place.socket, "", patience) : nullptr;
}

Result<std::unique_ptr<Target>> open_engine(const Place& place, Patience patience) {
  if (!place.server.empty()) return connect(place.server, place.token, patience);
  const Listener listener = listener_at(place);
  if (listener == Listener::kEngine) return connect("unix:" + place.socket, "", patience);
  return no_engine(place, listener);
}

Result<std::unique_ptr<Target>> open_for_reading(const Place& place) {
  if (auto engine = find_engine(place)) return engine;
  return open_archive(place.store);
}

}  // namespace weft::cli

#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {

grpc::ServerUnaryReactor* SchedulesService::List(grpc::CallbackServerContext* context,
                                                 const v1::SchedulesListRequest* request,
                                                 v1::SchedulesListResponse* response) {
  return answered(context, api_.list_schedules(*request), response);
}

grpc::ServerUnaryReactor* SchedulesService::Get(grpc::CallbackServerContext* context,
                                                const v1::SchedulesGetRequest* request,
                                                v1::SchedulesGetResponse* response) {
  return answered(context, api_.get_schedule(*request), response);
}

grpc::ServerUnaryReactor* SchedulesService::Pause(grpc::CallbackServerContext* context,
                                                  const v1::SchedulesPauseRequest* request,
                                                  v1::SchedulesPauseResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.pause_schedule(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* SchedulesService::Resume(grpc::CallbackServerContext* context,
                                                   const v1::SchedulesResumeRequest* request,
                                                   v1::SchedulesResumeResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.resume_schedule(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* SchedulesService::Trigger(grpc::CallbackServerContext* context,
                                                    const v1::SchedulesTriggerRequest* request,
                                                    v1::SchedulesTriggerResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.trigger_schedule(*request, answer_later(reactor, response));
  return reactor;
}

}  // namespace weft::server

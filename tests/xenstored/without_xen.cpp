// What Xen's xenstored needs of a hypervisor, for a machine that has none: preloaded into it
// (LD_PRELOAD), it makes xenstored a plain process. Everything else is xenstored's own: its tree,
// its permissions, its transactions, its socket.
//
// xenstored reaches the hypervisor in three libraries and two files, and asks little of them:
// - libxenctrl (libxenmanage from 4.21): which domains are alive. All are: a domain goes when the
//   toolstack releases it, as it does in these tests.
// - libxengnttab: a page shared with each domain, with a ring in it through which that domain's
//   kernel talks to xenstored.
// - libxenevtchn: a descriptor that becomes readable when a domain has put something into its ring,
//   and a way to tell the domain the same.
// - /proc/xen/xsd_kva and xsd_port: the ring of its own domain, dom0. Nobody uses it: programs in
//   dom0 come through xenstored's socket.
//
// The kernel of each introduced domain is played here, too: what it is to its programs as
// /dev/xen/xenbus is a socket domain-<domid> beside xenstored's own. Who comes through it is that
// domain, with no more rights than it has. (Older libxenstore could drop the rights of a connection
// to the socket; that is gone.)
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>

extern "C" {  // they have none of their own
#include <xen/io/xs_wire.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>
}

namespace {

constexpr std::size_t page = 4096;
/// Event channels are numbers: these, and one for each domain.
constexpr int of_dead_domains = 1;
constexpr int of_any_domain = 2;
constexpr int of_first_domain = 1000;

void signal_event(int event) {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event, &one, sizeof one));
}

void take_event(int event) {
  std::uint64_t events = 0;
  static_cast<void>(!::read(event, &events, sizeof events));
}

/// Readable when any domain has put something into its ring.
int something_in_a_ring() {
  static const int event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return event;
}

/// A domain's kernel: passes bytes between the one program that is connected to its socket and the
/// ring.
class Kernel {
 public:
  explicit Kernel(std::uint32_t domid)
      : ring_(static_cast<xenstore_domain_interface*>(
            ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))),
        woken_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    const char* directory = std::getenv("XENSTORED_RUNDIR");
    const std::string path =
        std::string(directory == nullptr ? "." : directory) + "/domain-" + std::to_string(domid);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 8) != 0)
      std::abort();
    std::thread([this, listener] { serve(listener); }).detach();
  }

  void* ring() { return ring_; }
  /// Nobody is connected.
  void empty_ring() {
    for (std::uint32_t* each :
         {&ring_->req_prod, &ring_->req_cons, &ring_->rsp_prod, &ring_->rsp_cons})
      index(*each) = 0;
  }
  void wake() const { signal_event(woken_); }

 private:
  void serve(int listener) {
    for (;;) {
      const int program = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      while (program >= 0 && pass(program)) {
      }
      ::close(program);
    }
  }

  /// False: the program has gone.
  bool pass(int program) {
    const auto produced = index(ring_->req_prod);
    const std::uint32_t queued = produced - index(ring_->req_cons);
    pollfd sources[] = {
        {.fd = queued < XENSTORE_RING_SIZE ? program : -1, .events = POLLIN, .revents = 0},
        {.fd = woken_, .events = POLLIN, .revents = 0}};
    ::poll(sources, 2, -1);
    if (sources[1].revents != 0)
      take_event(woken_);
    if (sources[0].revents != 0) {
      // Up to the end of the ring's memory: the rest next time.
      const std::uint32_t begin = MASK_XENSTORE_IDX(produced);
      const std::size_t room =
          std::min<std::size_t>(XENSTORE_RING_SIZE - queued, XENSTORE_RING_SIZE - begin);
      const ssize_t size = ::read(program, ring_->req + begin, room);
      if (size <= 0)
        return false;
      index(ring_->req_prod) = produced + static_cast<std::uint32_t>(size);
      signal_event(something_in_a_ring());
    }
    for (;;) {
      const std::uint32_t consumed = index(ring_->rsp_cons);
      const std::uint32_t answered = index(ring_->rsp_prod) - consumed;
      if (answered == 0)
        return true;
      const std::uint32_t begin = MASK_XENSTORE_IDX(consumed);
      const std::size_t some = std::min<std::size_t>(answered, XENSTORE_RING_SIZE - begin);
      const ssize_t size = ::send(program, ring_->rsp + begin, some, MSG_NOSIGNAL);
      if (size <= 0)
        return false;
      index(ring_->rsp_cons) = consumed + static_cast<std::uint32_t>(size);
      signal_event(something_in_a_ring());
    }
  }

  /// Shared with xenstored's own thread, which knows it as memory shared with another domain.
  static std::atomic_ref<std::uint32_t> index(std::uint32_t& value) {
    return std::atomic_ref<std::uint32_t>(value);
  }

  xenstore_domain_interface* ring_;
  int woken_;
};

/// By domain. One that is released and introduced again has the same, with an empty ring.
std::map<std::uint32_t, Kernel*>& kernels() {
  static std::map<std::uint32_t, Kernel*> all;
  return all;
}

/// Something that is not null, for handles that nobody looks into.
template <typename Handle>
Handle* some_handle() {
  static char handle;
  return reinterpret_cast<Handle*>(&handle);
}

/// The files of the own domain; -1: it is not one of them.
int open_own_ring(std::string_view path) {
  if (path != "/proc/xen/xsd_kva" && path != "/proc/xen/xsd_port")
    return -1;
  const int file = ::memfd_create("own-ring", MFD_CLOEXEC);
  if (path.ends_with("port"))
    static_cast<void>(!::pwrite(file, "1\n", 2, 0));
  else
    static_cast<void>(!::ftruncate(file, page));
  return file;
}

using Open = int (*)(const char*, int, ...);

int open_any(const char* function, const char* path, int flags, mode_t mode) {
  if (const int file = open_own_ring(path); file >= 0)
    return file;
  return reinterpret_cast<Open>(::dlsym(RTLD_NEXT, function))(path, flags, mode);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_any("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_any("open64", path, flags, mode);
}

// libxenctrl.
xc_interface* xc_interface_open(xentoollog_logger*, xentoollog_logger*, unsigned) {
  return some_handle<xc_interface>();
}
int xc_interface_close(xc_interface*) {
  return 0;
}
#if XEN_DOMCTL_INTERFACE_VERSION < 0x16  // up to Xen 4.17
int xc_domain_getinfo(xc_interface*, std::uint32_t domid, unsigned, xc_dominfo_t* info) {
  *info = {};
  info->domid = static_cast<decltype(info->domid)>(domid);
  return 1;
}
#endif
int xc_domain_getinfo_single(xc_interface*, std::uint32_t domid, xc_domaininfo_t* info) {
  std::memset(info, 0, sizeof *info);
  info->domain = static_cast<decltype(info->domain)>(domid);
  return 0;
}

// libxenmanage; its header is not everywhere.
void* xenmanage_open(void*, unsigned) {
  return some_handle<void>();
}
int xenmanage_close(void*) {
  return 0;
}
int xenmanage_get_domain_info(void*, unsigned domid, unsigned* state, unsigned* capabilities,
                              std::uint64_t* unique_id) {
  constexpr unsigned exists = 1;
  if (state != nullptr)
    *state = exists;
  if (capabilities != nullptr)
    *capabilities = 0;
  if (unique_id != nullptr)
    *unique_id = domid + 1;
  return 0;
}
int xenmanage_poll_changed_domain(void*, unsigned*, unsigned*, unsigned*, std::uint64_t*) {
  errno = ENOENT;
  return -1;
}

// libxengnttab.
xengnttab_handle* xengnttab_open(xentoollog_logger*, unsigned) {
  return some_handle<xengnttab_handle>();
}
int xengnttab_close(xengnttab_handle*) {
  return 0;
}
int xengnttab_set_max_grants(xengnttab_handle*, std::uint32_t) {
  return 0;
}
void* xengnttab_map_grant_ref(xengnttab_handle*, std::uint32_t domid, std::uint32_t, int) {
  Kernel*& kernel = kernels()[domid];
  if (kernel == nullptr)
    kernel = new Kernel(domid);
  kernel->empty_ring();
  return kernel->ring();
}
int xengnttab_unmap(xengnttab_handle*, void*, std::uint32_t) {
  return 0;
}

// libxenevtchn.
xenevtchn_handle* xenevtchn_open(xentoollog_logger*, unsigned) {
  return some_handle<xenevtchn_handle>();
}
xenevtchn_handle* xenevtchn_fdopen(xentoollog_logger*, int, unsigned) {
  return some_handle<xenevtchn_handle>();
}
int xenevtchn_close(xenevtchn_handle*) {
  return 0;
}
int xenevtchn_fd(xenevtchn_handle*) {
  return something_in_a_ring();
}
xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle*, unsigned) {
  return of_dead_domains;
}
xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle*, std::uint32_t domid,
                                                     evtchn_port_t) {
  return of_first_domain + static_cast<int>(domid);
}
int xenevtchn_unbind(xenevtchn_handle*, evtchn_port_t) {
  return 0;
}
int xenevtchn_notify(xenevtchn_handle*, evtchn_port_t port) {
  const auto kernel = kernels().find(port - of_first_domain);
  if (kernel != kernels().end())
    kernel->second->wake();
  return 0;
}
xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle*) {
  take_event(something_in_a_ring());
  return of_any_domain;  // xenstored looks into all rings
}
int xenevtchn_unmask(xenevtchn_handle*, evtchn_port_t) {
  return 0;
}

}  // extern "C"

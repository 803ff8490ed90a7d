# The warm parent of a Ruby script: it has loaded modules, and forks for each run.
#
#     INTERPRETER [options of the #! line] -r/PATH/ruby.rb SCRIPT [MODULE...]
#
# What -r names is loaded before ruby looks at the script. Here orders are taken and reports given (hosts/wire), over
# the SOCK_SEQPACKET socket that is descriptor 3, and from here each child returns, to run the script as ruby always
# does.
# All is in one lambda, so that a script finds nothing of it.

require "socket"

lambda do
  order, order_size, report_format = "CCSLQ", 16, "ClQQQ" # of hosts/wire
  kinds = { start: 1, end: 2, exited: 1, failed: 2, ready: 4, grown: 5 } # other orders are KILL
  stdin, apart = 1, 2
  max_record = 32_768 # octets
  rlimit_locks = 10 # bears the mark of the run (hosts/marks)
  grace, turns = 0.8, 8 # seconds between TERM and KILL, when the server is gone; after 1 s the launcher kills us
  look, growth = 64, 4096 # forks between two looks at our memory; pages more than at the start
  # What ruby has no method for that does it as plainly, by the machine that it was made for (e_machine of ELF).
  calls = { 62 => [292, 61], 21 => [316, 114], 22 => [326, 114] } # x86-64, PowerPC, s390x
  dup3, wait4 = calls.fetch(File.binread("/proc/self/exe", 20).unpack1("x18 S"), [24, 260]) # ARM, RISC-V
  talkative, $VERBOSE = $VERBOSE, nil # with -w, ruby advises against syscall
  # Compiled modules whose objects do nothing when they end.
  quiet = %r{\A[^/]+\z|/(?:enc/.*|monitor|socket|io/\w+|etc|stringio|strscan|date_core|rbconfig|pathname|fcntl|json/ext/\w+|
    digest|digest/\w+|cgi/escape|erb/escape|bigdecimal|psych|nkf|ripper)\.so\z}x

  server = UNIXSocket.for_fd(3)
  server.close_on_exec = true
  wakeup, wake = IO.pipe
  process_of, run_of = {}, {} # by run, until reaped; by process
  usage = "\0" * 256 # and the status behind it; too long to be moved about
  address = [usage].pack("p").unpack1("J")
  forks = size = 0

  pages = lambda do
    File.read("/proc/self/statm").split[1].to_i
  rescue SystemCallError
    0
  end
  report = lambda do |kind, code, run, cpu = 0, peak = 0, more = ""|
    server.sendmsg([kinds[kind], code, run, cpu, peak].pack(report_format) + more.b)
  rescue SystemCallError
    nil # the server is gone, as we shall read in a moment
  end
  signal_group = lambda do |process, signal|
    Process.kill(signal, -process)
  rescue Errno::ESRCH
    false
  rescue Errno::EPERM
    true
  end

  # One that is not reaped has a group of its own, or has not begun, and then leaves nothing.
  signal_run = lambda do |process, signal|
    signal_group.(process, signal) || Process.kill(:KILL, process)
  end

  farewell = lambda do
    groups = process_of.values
    groups.each { |group| signal_run.(group, :TERM) }
    turns.times do
      break if groups.empty?

      begin
        nil while Process.wait(-1, Process::WNOHANG)
      rescue Errno::ECHILD
        nil
      end
      groups.select! { |group| signal_group.(group, 0) }
      sleep grace / turns unless groups.empty?
    end
    groups.each { |group| signal_group.(group, :KILL) }
    exit! 0
  end

  reap = lambda do
    until run_of.empty?
      process = begin
        syscall(wait4, -1, address + 144, Process::WNOHANG, address)
      rescue Errno::ECHILD
        0
      end
      break if process < 1
      next unless (run = run_of.delete(process))

      process_of.delete(run)
      user, user_us, system, system_us, peak, code = usage.unpack("q5 @144 l")
      cpu = (user + system) * 1_000_000 + user_us + system_us
      report.(:exited, code & 127 == 0 ? code >> 8 : -(code & 127), run, cpu, peak)
    end
  end

  # In the child: makes of it what the launcher makes of a process that it starts.
  become = lambda do |mark, streams|
    %w[CHLD TERM].each { |name| trap(name, "DEFAULT") } # before there is a group to be told to end
    Process.setsid
    Process.setrlimit(rlimit_locks, mark, Process::RLIM_INFINITY)
    streams.zip([1, 2, 0]) { |stream, number| syscall(dup3, stream.fileno, number, 0) }
    [server, wakeup, wake].each(&:close)
  rescue StandardError
    exit! 70 # not to be a second parent
  end

  # In the child its arguments and environment, else nil.
  start = lambda do |run, base, flags, arguments, packed, given|
    packed = given[-1].pread(File.size("/proc/self/fd/#{given[-1].fileno}"), 0) if flags & apart != 0
    directory, *texts = packed.split("\0", -1)
    Dir.chdir(directory)
    forks += 1
    report.(:grown, 0, 0) if forks % look == 0 && pages.() > size + growth
    if (process = fork)
      process_of[run] = process
      run_of[process] = run
      next
    end
    become.(base << 32 | run, flags & stdin != 0 ? given.first(3) : given.first(2))
    middle = (texts.size + arguments) / 2
    [texts[1...arguments], texts[arguments...middle].zip(texts[middle..]).to_h]
  rescue SystemCallError => error
    report.(:failed, error.errno, run)
    nil
  ensure
    given.each(&:close)
  end

  obey = lambda do
    record, _, _, *controls = server.recvmsg(order_size + max_record, 0, 64, scm_rights: true)
    farewell.() if record.nil? || record.empty?
    kind, flags, arguments, base, run = record.unpack(order)
    given = controls.flat_map { |control| control.unix_rights || [] }
    next start.(run, base, flags, arguments, record.byteslice(order_size..), given) if kind == kinds[:start]

    process = process_of[run] # unless it has been reaped
    signal_run.(process, kind == kinds[:end] ? :TERM : :KILL) if process
    nil
  end

  # Of all that are registered it comes last. To take the interpreter apart, page by page, takes as long as a whole run:
  # that is left to those that have something to say at their very end.
  last_words = false
  ObjectSpace.singleton_class.prepend(Module.new do
    define_method(:define_finalizer) do |*given, &block|
      last_words = true
      super(*given, &block)
    end
  end)
  compiled = ->(feature) { feature.end_with?(".so") && !feature.match?(quiet) }
  alone = -> { Thread.list.size == 1 && !(defined?(Ractor) && Ractor.count > 1) }
  input, *outputs = STDIN, STDOUT, STDERR
  flush, closed = %i[flush closed?].map { |name| IO.instance_method(name) }
  handles = -> { [GC.count, ObjectSpace.count_objects[:T_FILE]] } # a while that collects none can only add some
  at_start = nil
  at_exit do
    status = $!.is_a?(SystemExit) ? $!.status : (0 if $!.nil?)
    if status && !last_words && alone.() && $LOADED_FEATURES.none?(&compiled)
      opened = handles.() == at_start ? outputs : ObjectSpace.each_object(IO).reject { |io| input.equal?(io) }
      opened.each { |io| flush.bind(io).call unless closed.bind(io).call }
      exit!(status)
    end
  rescue IOError, SystemCallError
    nil # it will be met again
  end

  ARGV.each do |name|
    require name
  rescue LoadError, StandardError => error
    warn "preload: #{name}: #{error.message.lines.first&.chomp}"
  end
  libraries = $LOAD_PATH - ENV.fetch("RUBYLIB", "").split(":") + (defined?(Gem) ? Gem.path : [])
  $LOADED_FEATURES.delete(__FILE__)
  own = ->(file) { file.start_with?("/") && libraries.none? { |path| file.start_with?("#{path}/") } }
  files = $LOADED_FEATURES.select(&own)
  trap("CHLD") { wake.write_nonblock("\0") }
  trap("TERM", "IGNORE") # from now on only the end of the socket ends us
  size = pages.()
  report.(:ready, 0, 0, 0, 0, files.join("\0"))
  child = nil
  until child
    IO.select([server, wakeup])[0].each do |ready|
      if ready == server
        child = obey.()
        break if child
      else
        wakeup.read_nonblock(4096)
        reap.()
      end
    end
  end
  locale = Encoding.find("locale")
  ARGV.replace(child[0].map { |text| text.force_encoding(locale).freeze })
  # What is there already is the same for all runs, as whatever started ruby left it.
  ENV.update(child[1])
  at_start = handles.()
  $VERBOSE = talkative
end.call

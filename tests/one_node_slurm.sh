#!/usr/bin/env bash
# A Slurm of this machine alone, for tests: one_node_slurm.sh start|stop FOLDER. Needs root, and Debian's slurm-wlm and munge.
# Everything it writes is in FOLDER; SLURM_CONF=FOLDER/slurm.conf is what srun, sbatch and squeue are to be told.
set -euo pipefail
what=$1 folder=$(realpath -m "$2")

stop() {
    if [ -s "$folder/slurmctld.pid" ]; then
        export SLURM_CONF=$folder/slurm.conf
        scancel --user="$(id -un)" 2>/dev/null || true
        for _ in $(seq 20); do
            [ -z "$(squeue -h 2>/dev/null)" ] && break
            sleep 0.5
        done
    fi
    for name in slurmd slurmctld munged; do
        [ -s "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null || true
    done
    sleep 1
}

start() {
    local host cores memory port=$((20000 + $$ % 10000 * 2))  # several at once do not meet
    host=$(hostname -s) cores=$(env -u OMP_NUM_THREADS nproc) memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.8) }' /proc/meminfo)
    mkdir -p "$folder"/{state,spool,munge}
    chmod 700 "$folder/munge"
    dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 2>/dev/null
    chmod 400 "$folder/munge/key"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
    cat > "$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    printf 'CgroupAutomount=no\nConstrainCores=no\n' > "$folder/cgroup.conf"
    export SLURM_CONF=$folder/slurm.conf
    slurmctld -c
    slurmd -c
    for _ in $(seq 60); do
        sinfo -h -o %t 2>/dev/null | grep -q idle && return
        sleep 0.5
    done
    echo "Slurm did not start: see $folder/slurmctld.log and $folder/slurmd.log" >&2
    stop
    exit 1
}

"$what"

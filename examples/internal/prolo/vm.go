package prolo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prologin/rig/internal/qemu"
	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/step"
)

// A virtual machine that nobody knows yet, beside the containers.
const (
	vmHostname = "r12p12"
	vmTap      = "vnet0"

	picturesDir = "vm" // below the lab's records
)

// vmStage boots a virtual machine over the network from gw, registers it, and boots it
// again, with the kernel and the root that rhfs0 made. It runs each time it is asked for.
func vmStage(p Payload) stage.Stage {
	return stage.Stage{
		Name: "boot_vm",
		Doc:  "Boot a virtual machine over the network: DHCP, TFTP, iPXE, registration, kernel, root by NFS.",
		Steps: []stage.Step{step.Func{
			Name: "boot " + vmHostname + " in QEMU", Version: "1",
			Inputs: map[string]string{"now": time.Now().String()},
			Text: "ip tuntap add " + vmTap + " mode tap && ip link set " + vmTap + " master " + Bridge + " up\n" +
				"qemu-system-x86_64 -m 1024 -boot n -netdev tap,id=lan,ifname=" + vmTap + ",script=no,downscript=no -device virtio-net-pci,netdev=lan\n" +
				"# In its menu choose a room and type " + vmHostname + ".",
			Do: func(ctx context.Context, s *stage.Session) error { return bootVM(ctx, s, p) },
		}},
		Needs:   []string{MachineGW + "/last", MachineRHFS + "/last"},
		Timeout: 10 * time.Minute,
	}
}

func bootVM(ctx context.Context, s *stage.Session, p Payload) (err error) {
	if err := os.MkdirAll(p.Pictures, 0o755); err != nil {
		return err
	}
	gw, err := s.On(MachineGW)
	if err != nil {
		return err
	}
	// It fails where the last run did not register it.
	_ = gw.Exec(ctx, stage.Command{Args: p.manageArgs("mdb", "delmachine", vmHostname)})
	vm, err := qemu.Start(ctx, qemu.Config{
		Tap: vmTap, Bridge: Bridge, MAC: netsetup.MAC(Bridge, vmHostname).String(), Memory: 1024, Console: s.Log(),
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, picture(s, vm, p, "failed"))
		}
		err = errors.Join(err, vm.Close())
	}()
	return registerAndBoot(ctx, s, vm, p)
}

// registerAndBoot does what a person would in front of the machine.
func registerAndBoot(ctx context.Context, s *stage.Session, vm *qemu.Machine, p Payload) error {
	for _, do := range []struct{ see, picture, answer string }{
		{see: "iPXE"},
		{see: "is not registered"},
		{see: "iPXE shell", picture: "menu", answer: "\n"}, // the last line of the menu
		{see: "Its name", answer: vmHostname + "\n"},
		{see: "Registered"},
		{see: "Booting " + vmHostname, picture: "ipxe"},
		{see: "Linux version"},
		{see: "root is rfs0:" + nfsRoot},
		{see: vmHostname + " login:", picture: "login"},
	} {
		if err := vm.Expect(ctx, do.see); err != nil {
			return err
		}
		if do.picture != "" {
			if err := picture(s, vm, p, do.picture); err != nil {
				return err
			}
		}
		if err := vm.Type(do.answer); err != nil {
			return err
		}
	}
	return nil
}

// picture keeps what the machine's screen shows.
func picture(s *stage.Session, vm *qemu.Machine, p Payload, name string) error {
	file := filepath.Join(p.Pictures, name+".png")
	if err := vm.Screenshot(file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.Log(), "screen:", file)
	return err
}
